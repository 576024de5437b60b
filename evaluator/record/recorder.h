// Runs solve() in the sandbox against a recording CUDA runtime and returns the launch plan.
// recorder.cc opens with the theory of operation.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "evaluator/compile/artifact.h"
#include "evaluator/device/info.h"
#include "evaluator/plan/plan.h"
#include "tasks/task.h"

namespace assay {

/// Why there is no plan: record_error (or timeout where the time limit ended it, or launch_error
/// where the launch configuration can run on no device). Where recording is also compiling, as for
/// Triton, that can fail too: rejected, compile_error.
struct RecordFailure {
  enum class Kind {
    record_error,
    launch_error,
    timeout,
    rejected,
    compile_error
  } kind = Kind::record_error;
  std::string reason;       // "host_read_back", "crash", "not_reproducible", "library",
                            // "unsupported_call", "no_solve", "exit", "memory", "scratch", ...
  std::string explanation;  // fit to be shown to the candidate's author
};

struct RecordOutcome {
  std::optional<LaunchPlan> plan;  // set exactly when `failure` is not
  std::optional<RecordFailure> failure;
  std::string output;    // what solve() printed, truncated
  double record_ms = 0;  // both recordings
};

/// Records solve() for one case, twice with different fake addresses, for `target` (device
/// properties and occupancy answers come from it). An Error is ours, never the candidate's.
/// Thread-safe.
Result<RecordOutcome> record(const Artifact& artifact, const BoundCase& bound,
                             const DeviceInfo& target);

}  // namespace assay
