// A small workbench for tests of the virtual device: PTX or CUDA source, tensors, launches.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "evaluator/device/device.h"

namespace assay::rig {

/// The PTX that nvcc makes of `source`, or nothing where there is no nvcc. Fails the test if the
/// source does not compile. File name "kernel.cu", -lineinfo, sm_90.
std::optional<std::string> compile(const std::string& source, const std::string& options = "");

/// The header of hand-written PTX.
inline const char* kHeader = ".version 8.5\n.target sm_90\n.address_size 64\n";

/// A pointer argument of a launch.
struct Pointer {
  std::string name;
  int64_t offset = 0;
};

class Bench {
 public:
  explicit Bench(const std::string& ptx, int threads = 1);

  /// Allocates a tensor.
  template <typename T>
  void tensor(const std::string& name, const std::vector<T>& values) {
    add(name, values.data(), values.size() * sizeof(T));
  }
  template <typename T>
  std::vector<T> read(const std::string& name) {
    std::vector<T> values(bytes_of(name) / sizeof(T));
    read_bytes(name, values.data());
    return values;
  }

  /// Launches a kernel: arguments are Pointer or scalars and structs.
  template <typename... Arguments>
  RunReport launch(const std::string& kernel, Dim3 grid, Dim3 block, Arguments... arguments) {
    assay::Launch launch;
    launch.kernel = kernel;
    launch.grid = grid;
    launch.block = block;
    launch.dynamic_shared_bytes = dynamic_shared;
    launch.cooperative = cooperative;
    (append(launch, arguments), ...);
    plan_.operations.clear();
    plan_.operations.push_back(Operation{launch, {}, 0});
    return run();
  }

  RunReport run_plan(const LaunchPlan& plan);
  /// Adds `argument` to the parameters of a launch.
  template <typename T>
  void append(assay::Launch& launch, const T& argument) {
    const size_t alignment = std::is_same_v<T, Pointer> ? 8 : alignof(T);
    launch.parameters.resize((launch.parameters.size() + alignment - 1) / alignment * alignment);
    if constexpr (std::is_same_v<T, Pointer>) {
      launch.relocations.push_back({static_cast<uint32_t>(launch.parameters.size()),
                                    Location{allocation_of(argument.name), argument.offset}});
      launch.parameters.append(8, '\0');
    } else {
      launch.parameters.append(reinterpret_cast<const char*>(&argument), sizeof(argument));
    }
  }
  uint32_t allocation_of(const std::string& name);
  const LaunchPlan& plan() const { return plan_; }

  uint32_t dynamic_shared = 0;
  bool cooperative = false;
  RunOptions options;
  std::unique_ptr<Device> device;
  std::unique_ptr<Module> module;

 private:
  void add(const std::string& name, const void* data, size_t bytes);
  void read_bytes(const std::string& name, void* data);
  size_t bytes_of(const std::string& name);
  RunReport run();

  std::vector<std::string> names_;
  std::vector<Buffer> buffers_;
  LaunchPlan plan_;
};

/// The explanation of a fault, or "" where there is none.
inline std::string fault_of(const RunReport& report) {
  return report.fault ? report.fault->explanation : "";
}

}  // namespace assay::rig

#define ASSAY_REQUIRE_PTX(variable, source)                                       \
  const std::optional<std::string> variable##_made = assay::rig::compile(source); \
  if (!variable##_made) GTEST_SKIP() << "no nvcc on this machine";                \
  const std::string& variable = *variable##_made
