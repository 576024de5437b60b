// Runs a task's evidence.cu (tasks/evidence.h) on what one run of a kernel read and wrote.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/device/device.h"
#include "evaluator/plan/plan.h"
#include "tasks/task.h"

namespace assay {

/// evidence.cu of a task, recorded for a case; without an artifact for the tasks that have none.
struct EvidenceKernel {
  const Artifact* artifact = nullptr;
  LaunchPlan plan;
};

/// `tensors` are the bytes of the case's inputs and of a run's outputs, by position. Returns those
/// of the evidence, by position; none for a case without evidence. Buffers of their own come and go
/// in this call. Errors are ours: evidence.cu must end well whatever bytes the outputs hold.
Result<std::vector<std::string>> evidence_of(Device& device, const BoundCase& bound,
                                             const EvidenceKernel& kernel,
                                             const std::vector<std::string>& tensors,
                                             const RunOptions& options);

}  // namespace assay
