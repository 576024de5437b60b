#include "evaluator/check/evidence.h"

#include <fmt/format.h>

#include "evaluator/check/buffers.h"
#include "tasks/evidence.h"

namespace assay {

namespace {

/// Any: what evidence.cu leaves unwritten must not look like evidence. NaN in floating dtypes.
constexpr uint64_t kPoison = 0x5ca1ab1e;

Error failure(const BoundCase& bound, const std::string& what) {
  return Error{ErrorKind::internal, fmt::format("evidence.cu of task {}, case {}: {}",
                                                bound.task_id, bound.case_name, what)};
}

}  // namespace

Result<std::vector<std::string>> evidence_of(Device& device, const BoundCase& bound,
                                             const EvidenceKernel& kernel,
                                             const std::vector<std::string>& tensors,
                                             const RunOptions& options) {
  std::vector<std::string> evidence;
  if (bound.evidence.empty()) return evidence;
  if (!kernel.artifact) return failure(bound, "the job has none");
  Buffers buffers(device);
  RETURN_IF_ERROR(buffers.allocate(with_evidence(bound)));
  const size_t first = bound.tensors.size();
  for (size_t i = 0; i < first; ++i) RETURN_IF_ERROR(buffers.upload(i, tensors[i]));
  for (size_t i = 0; i < bound.evidence.size(); ++i)
    RETURN_IF_ERROR(device.poison(buffers[first + i], bound.evidence[i].dtype, kPoison));
  ASSIGN_OR_RETURN(const std::unique_ptr<Module> module, device.load(*kernel.artifact));
  ASSIGN_OR_RETURN(const std::unique_ptr<PreparedPlan> plan,
                   device.prepare(*module, kernel.plan, buffers.all()));
  ASSIGN_OR_RETURN(const RunReport ran, device.run(*plan, options));
  if (ran.fault) return failure(bound, ran.fault->explanation);
  for (size_t i = 0; i < bound.evidence.size(); ++i) {
    ASSIGN_OR_RETURN(evidence.emplace_back(), buffers.download(first + i));
  }
  return evidence;
}

}  // namespace assay
