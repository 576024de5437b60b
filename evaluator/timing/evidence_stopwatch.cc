#include "evaluator/timing/evidence_stopwatch.h"

#include <algorithm>

#include "evaluator/check/explain.h"
#include "evaluator/check/trusted.h"

namespace assay {

Result<std::vector<std::string>> EvidenceStopwatch::evidence(Side side, uint32_t generation,
                                                             uint32_t call) {
  ASSIGN_OR_RETURN(const std::vector<std::string> tensors,
                   stopwatch_.tensors(side, generation, call));
  RunOptions options;
  options.deadline_seconds = job_.deadline_seconds;
  return evidence_of(device_, job_.bound, job_.evidence, tensors, options);
}

Result<std::optional<TimingViolation>> EvidenceStopwatch::verify(uint32_t generation,
                                                                 bool baseline_ran) {
  using Found = std::optional<TimingViolation>;
  ASSIGN_OR_RETURN(Found found, stopwatch_.verify(generation, baseline_ran));
  if (found) return found;
  const uint32_t calls = std::max(1u, std::min(calls_[static_cast<size_t>(Side::baseline)],
                                               calls_[static_cast<size_t>(Side::candidate)]));
  const auto call = static_cast<uint32_t>(random_() % calls);
  ASSIGN_OR_RETURN(const auto got, evidence(Side::candidate, generation, call));
  ASSIGN_OR_RETURN(const auto want, evidence(Side::baseline, generation, call));
  for (size_t i = 0; i < job_.bound.evidence.size(); ++i) {
    BoundTensor tensor = job_.bound.evidence[i];
    tensor.tolerance = between_two(tensor.tolerance);
    const Comparison comparison = trusted::compare_on_host(
        got[i].data(), want[i].data(), tensor.dtype, tensor.elements, tensor.tolerance);
    if (!comparison.passed())
      return Found(
          {"mismatch", "in a timed call: " + explain_mismatch(tensor, comparison, "", "evidence")});
  }
  return Found();
}

}  // namespace assay
