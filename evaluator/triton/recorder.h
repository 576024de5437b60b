// Runs a Triton candidate's solve() in the sandbox and returns kernels and launch plan.
// recorder.cc opens with the theory of operation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/compile/compiler.h"
#include "evaluator/device/info.h"
#include "evaluator/record/recorder.h"
#include "evaluator/triton/worker.h"
#include "tasks/task.h"

namespace assay::triton {

struct Request {
  std::string source;       // bytes as the candidate gave them
  std::string arch;         // what Triton compiles for: "sm_80", "sm_90a"
  bool want_cubin = false;  // PTX is enough for the virtual device
  /// The configurations that triton.autotune is to take: numbers, by Recorded::tuners; the first
  /// one where there is none.
  std::vector<uint32_t> choice = {};
};

/// A kernel that triton.autotune gives several configurations, by the candidate's word.
struct Tuner {
  std::string kernel;
  std::vector<std::string> configurations;  // texts, at least 2
  bool operator==(const Tuner&) const = default;
};

struct Recorded {
  std::shared_ptr<const Artifact>
      artifact;  // the kernels of this case; null where `outcome` failed
  RecordOutcome outcome;
  std::vector<Tuner> tuners;  // in the order of their first launch; at most kMostTuners
};

inline constexpr size_t kMostTuners = 8;
inline constexpr size_t kMostConfigurations = 32;

/// The architecture that candidates are compiled for on `device`: the GPU's own, and sm_80 for the
/// virtual device, which knows no wgmma and no bulk copies.
std::string arch_for(const DeviceInfo& device, const std::string& arch_of_device);

/// Records solve() for one case, twice with different fake addresses, and assembles the kernels
/// that it launched. An Error is ours (Triton not installed, trouble of the sandbox), never the
/// candidate's. Thread-safe.
Result<Recorded> record(const Request& request, const BoundCase& bound, const DeviceInfo& target,
                        Compiler& compiler, Workers& workers);

}  // namespace assay::triton
