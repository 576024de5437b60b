#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "evaluator/runner/messages.h"
#include "tasks/evidence.h"

namespace assay {

namespace {

using Tensors = std::map<std::string, std::string>;

Error implausible(const std::string& what) {
  return Error{ErrorKind::device, "a runner's report does not fit its job: " + what};
}

bool can_come_from_check(Outcome outcome) {
  switch (outcome) {
    case Outcome::launch_error:
    case Outcome::runtime_fault:
    case Outcome::timeout:
    case Outcome::wrong_output:
    case Outcome::nondeterministic:
    case Outcome::tampered:
    case Outcome::correct:
    case Outcome::harness_error:
      return true;
    default:
      return false;
  }
}

bool is_output(const BoundTensor& tensor) { return tensor.direction != Direction::in; }

Result<void> plausible_comparison(const Comparison& comparison, const BoundTensor& tensor) {
  const auto inside = [&](const std::optional<ElementError>& element) {
    return element.has_value() == (comparison.mismatches > 0) &&
           (!element || element->index < tensor.elements);
  };
  if (comparison.elements != tensor.elements || comparison.mismatches > comparison.elements ||
      comparison.nonfinite_mismatches > comparison.mismatches || !inside(comparison.first) ||
      !inside(comparison.worst))
    return implausible("the comparison of " + tensor.name);
  return {};
}

/// Comparisons of all outputs and all evidence in their order, or none where the story ended
/// before.
Result<void> plausible_comparisons(const CheckReport& report, const CheckJob& job) {
  size_t compared = 0;
  bool passed = true;
  for (const BoundTensor& tensor : with_evidence(job.bound)) {
    if (!is_output(tensor) || report.comparisons.empty()) continue;
    if (compared == report.comparisons.size() || report.comparisons[compared].tensor != tensor.name)
      return implausible("no comparison of " + tensor.name);
    const Comparison& comparison = report.comparisons[compared++].comparison;
    RETURN_IF_ERROR(plausible_comparison(comparison, tensor));
    passed = passed && comparison.passed();
  }
  if (compared != report.comparisons.size()) return implausible("too many comparisons");
  const bool any_output = std::ranges::any_of(job.bound.tensors, is_output);
  if (report.outcome == Outcome::correct && (!passed || (any_output && compared == 0)))
    return implausible("it is correct without comparisons that say so");
  return {};
}

/// Only tensors of the case that `wanted` accepts, each with all of its bytes.
template <typename Wanted>
Result<void> plausible_tensors(const Tensors& tensors, const CheckJob& job, const Wanted& wanted) {
  const std::vector<BoundTensor> known = with_evidence(job.bound);
  for (const auto& [name, bytes] : tensors) {
    const auto tensor = std::ranges::find(known, name, &BoundTensor::name);
    if (tensor == known.end() || !wanted(*tensor) || bytes.size() != tensor->bytes())
      return implausible("bytes of a tensor that were not asked for");
  }
  return {};
}

size_t launches_in(const LaunchPlan& plan) {
  return static_cast<size_t>(std::ranges::count_if(plan.operations, [](const Operation& operation) {
    return std::holds_alternative<Launch>(operation.action);
  }));
}

}  // namespace

Result<void> plausible(const CheckReport& report, const CheckJob& job) {
  if (!can_come_from_check(report.outcome))
    return implausible(fmt::format("its outcome is {}", name(report.outcome)));
  if (report.launches.size() > launches_in(job.candidate_plan))
    return implausible("more launches than the plan has");
  RETURN_IF_ERROR(plausible_comparisons(report, job));
  RETURN_IF_ERROR(plausible_tensors(report.outputs, job, [&](const BoundTensor& tensor) {
    return job.want_outputs && is_output(tensor);
  }));
  RETURN_IF_ERROR(plausible_tensors(report.inputs, job, [&](const BoundTensor& tensor) {
    return job.want_expected && tensor.direction != Direction::out;
  }));
  return plausible_tensors(report.expected, job, [&](const BoundTensor& tensor) {
    return job.want_expected && is_output(tensor);
  });
}

}  // namespace assay
