#include "evaluator/check/explain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace assay {

namespace {

std::string size_text(double value) {
  return value >= 1e9 ? std::string("above 1e9") : fmt::format("{:.3g}", value);
}

std::string tolerance_text(const Tolerance& tolerance) {
  if (std::isinf(tolerance.atol)) return "the result must be finite";
  if (tolerance.atol == 0 && tolerance.rtol == 0) return "the result must be exact";
  return fmt::format("allowed: {:g} + {:g} * |expected|", tolerance.atol, tolerance.rtol);
}

std::string element_text(const BoundTensor& tensor, const char* which, const ElementError& error) {
  return fmt::format("{} at {} (absolute error {}, relative {})", which,
                     coordinates(tensor, error.index), size_text(error.absolute),
                     size_text(error.relative));
}

}  // namespace

std::string coordinates(const BoundTensor& tensor, uint64_t index) {
  std::vector<uint64_t> position(tensor.shape.size());
  for (size_t axis = tensor.shape.size(); axis-- > 0;) {
    const uint64_t extent = std::max<uint64_t>(1, tensor.shape[axis]);
    position[axis] = index % extent;
    index /= extent;
  }
  return fmt::format("[{}]", fmt::join(position, ", "));
}

std::string explain_mismatch(const BoundTensor& tensor, const Comparison& comparison,
                             const std::string& hint, std::string_view kind) {
  if (comparison.mismatches == 0)
    return fmt::format(
        "{} {}: each element is within its bound, but the relative error of the "
        "whole is {} in the Frobenius norm, above {:g}",
        kind, tensor.name, size_text(comparison.rel_frobenius),
        tensor.tolerance.rel_frobenius.value_or(0));
  std::string text =
      fmt::format("{} {}: {} of {} elements are outside the tolerance ({})", kind, tensor.name,
                  comparison.mismatches, comparison.elements, tolerance_text(tensor.tolerance));
  if (comparison.first) text += "; " + element_text(tensor, "first", *comparison.first);
  if (comparison.worst && comparison.worst->index != comparison.first->index)
    text += "; " + element_text(tensor, "worst", *comparison.worst);
  return hint.empty() ? text : text + "; " + hint;
}

std::string explain_unwritten(const BoundTensor& tensor, const Unwritten& unwritten) {
  if (unwritten.elements == tensor.elements)
    return fmt::format("output {} was never written", tensor.name);
  return fmt::format("output {}: {} of {} elements were never written; the first is at {}",
                     tensor.name, unwritten.elements, tensor.elements,
                     coordinates(tensor, unwritten.first));
}

std::string explain_difference(const BoundTensor& tensor, const Comparison& comparison,
                               std::string_view kind) {
  std::string text =
      fmt::format("{} {} differs between two runs on the same input", kind, tensor.name);
  if (comparison.first)
    text += fmt::format(" in {} of {} elements, the first at {}", comparison.mismatches,
                        comparison.elements, coordinates(tensor, comparison.first->index));
  return text +
         "; look for memory that is read before it is written (outputs and scratch hold "
         "random bits at first), a missing barrier or atomic, or a result that depends on "
         "the order of blocks";
}

std::string explain_red_zone(const RedZoneDamage& damage) {
  std::string where;
  if (damage.bytes_before > 0) where = fmt::format("{} bytes just before", damage.bytes_before);
  if (damage.bytes_after > 0)
    where += fmt::format("{}{} bytes just after", where.empty() ? "" : " and ", damage.bytes_after);
  return fmt::format("{} {} were overwritten: a kernel writes outside its buffer", where,
                     damage.buffer);
}

}  // namespace assay
