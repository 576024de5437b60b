// The CUDA device on the stand-in driver, and plans over the kernels of kernels.cu.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "evaluator/device/device.h"
#include "tests/fake_driver/control.h"

namespace assay::cuda_bench {

/// The stand-in's controls. It is loaded on the first call, before anything asks for a driver.
fake_driver::Control& control();
/// What the death of the process would do for a driver: no test sees another's faults.
void restart();

/// A device; throws std::runtime_error with the reason where it cannot be made.
std::unique_ptr<Device> make_device();

/// The kernels' artifact.
const Artifact& kernels();

inline constexpr uint32_t kElements = 1000;

/// y = x + 1: argument 0 is x, argument 1 is y, both f32[1000].
BoundCase add_one_case();

/// A launch of `kernel`(x, y, n, more ...): 8 blocks of 128 threads.
Launch launch(const std::string& kernel, std::vector<int> more = {});

/// Operations in the order given, each after the one before it.
LaunchPlan chain(std::vector<Operation> operations);
LaunchPlan plan_of(Launch launch);

/// Device buffers of the case, x filled with 0, 1, 2 ..., y poisoned.
struct Rig {
  explicit Rig(Device& device);
  /// Loads the kernels, prepares and runs the plan.
  Result<RunReport> run(const LaunchPlan& plan, const RunOptions& options = {});
  std::vector<float> y();
  /// Whether y is x + `amount`.
  ::testing::AssertionResult holds(float amount);

  Device& device;
  Buffer x, y_buffer;
  std::unique_ptr<Module> module;
  std::unique_ptr<PreparedPlan> prepared;
};

}  // namespace assay::cuda_bench
