// Theory of operation
//
// The author of a wrong kernel sees neither its output nor the expected one, only a sentence. Each
// function below is one hypothesis about the mistake, asked in the order of how much it explains;
// the first that holds for all elements speaks. A hypothesis gives up at the first element that
// contradicts it, so that those that do not hold cost next to nothing.
#include "evaluator/check/diagnosis.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "evaluator/check/trusted.h"

namespace assay {

namespace {

constexpr uint64_t kMaxElements = uint64_t{1} << 26;

class Diagnosis {
 public:
  Diagnosis(const BoundTensor& tensor, const std::string& got, const std::string& want,
            const Comparison& comparison)
      : tensor_(tensor), got_(got), want_(want), comparison_(comparison) {}

  std::string hint() const {
    using Hypothesis = std::string (Diagnosis::*)() const;
    constexpr Hypothesis kHypotheses[] = {
        &Diagnosis::constant, &Diagnosis::nonfinite, &Diagnosis::transposed, &Diagnosis::shifted,
        &Diagnosis::scaled,   &Diagnosis::tail,      &Diagnosis::region,     &Diagnosis::stripes,
        &Diagnosis::coarse,   &Diagnosis::everywhere};
    for (const Hypothesis hypothesis : kHypotheses)
      if (std::string text = (this->*hypothesis)(); !text.empty()) return text;
    return "";
  }

 private:
  uint64_t elements() const { return tensor_.elements; }
  double got(uint64_t i) const { return element::load(tensor_.dtype, got_.data(), i); }
  double want(uint64_t i) const { return element::load(tensor_.dtype, want_.data(), i); }

  /// Whether element i of the output is what element j should be.
  bool agree(uint64_t i, uint64_t j) const {
    return !trusted::judge(tensor_.dtype, trusted::load_bits(tensor_.dtype, got_.data(), i),
                           trusted::load_bits(tensor_.dtype, want_.data(), j), got(i), want(j),
                           tensor_.tolerance.atol, tensor_.tolerance.rtol)
                .mismatch;
  }

  /// Whether most elements are wrong: what explains the whole output must explain many errors.
  bool widespread() const { return elements() >= 8 && comparison_.mismatches >= elements() / 4; }

  uint64_t extent(size_t axes_from_last) const {
    const size_t rank = tensor_.shape.size();
    return axes_from_last < rank ? std::max<uint64_t>(1, tensor_.shape[rank - 1 - axes_from_last])
                                 : 1;
  }

  std::string constant() const {
    if (elements() < 2) return "";
    const double value = got(0);
    for (uint64_t i = 1; i < elements(); ++i)
      if (got(i) != value && !(std::isnan(got(i)) && std::isnan(value))) return "";
    if (std::isnan(value))
      return "every element is NaN: is something read that was not written before? Outputs and "
             "scratch hold NaN at first";
    return value == 0 ? "every element is zero" : "every element has the same value";
  }

  std::string nonfinite() const {
    if (comparison_.nonfinite_mismatches == 0) return "";
    return fmt::format(
        "{} of them are NaN or infinite where they should not be, or the other way "
        "round",
        comparison_.nonfinite_mismatches);
  }

  /// The last two axes, laid out the other way round.
  std::string transposed() const {
    const uint64_t columns = extent(0), rows = extent(1);
    if (rows < 2 || columns < 2 || !widespread()) return "";
    for (uint64_t matrix = 0; matrix < elements(); matrix += rows * columns)
      for (uint64_t row = 0; row < rows; ++row)
        for (uint64_t column = 0; column < columns; ++column)
          if (!agree(matrix + column * rows + row, matrix + row * columns + column)) return "";
    return "it looks transposed: rows and columns of the last two axes are exchanged";
  }

  /// Every row holds the right values one place too far on.
  std::string shifted() const {
    const uint64_t row = extent(0);
    if (row < 4 || !widespread()) return "";
    const auto holds = [&](uint64_t ahead, uint64_t behind) {
      for (uint64_t i = 0; i + 1 < elements(); ++i)
        if ((i + 1) % row != 0 && !agree(i + ahead, i + behind)) return false;
      return true;
    };
    if (holds(1, 0)) return "each row looks shifted by one element towards its end";
    if (holds(0, 1)) return "each row looks shifted by one element towards its start";
    return "";
  }

  std::string scaled() const {
    if (!widespread() || comparison_.mismatches < 4) return "";
    uint64_t largest = 0;
    for (uint64_t i = 0; i < elements(); ++i)
      if (std::abs(want(i)) > std::abs(want(largest))) largest = i;
    const double factor = got(largest) / want(largest);
    if (!std::isfinite(factor) || factor == 0) return "";
    for (uint64_t i = 0; i < elements(); ++i) {
      const double expected = factor * want(i);
      const double slack =
          tensor_.tolerance.atol + std::max(tensor_.tolerance.rtol, 1e-9) * std::abs(expected);
      if (!(std::abs(got(i) - expected) <= slack)) return "";
    }
    if (std::abs(factor + 1) < 1e-3) return "every element has the wrong sign";
    return fmt::format("every element is about {:.3g} times what it should be", factor);
  }

  std::string tail() const {
    if (!comparison_.first || comparison_.first->index == 0 ||
        comparison_.first->index + comparison_.mismatches != elements())
      return "";
    return comparison_.mismatches == 1 ? "only the last element is wrong"
                                       : "all elements from the first wrong one to the end are "
                                         "wrong: is the tail left out?";
  }

  /// The smallest box around the wrong elements, where it leaves out a good part of some axis.
  std::string region() const {
    const size_t rank = tensor_.shape.size();
    if (rank == 0 || comparison_.mismatches < 4) return "";
    std::vector<uint64_t> low(rank, ~uint64_t{0}), high(rank, 0);
    for_each_mismatch([&](uint64_t index) {
      for (size_t axis = rank; axis-- > 0;) {
        const uint64_t position = index % tensor_.shape[axis];
        index /= tensor_.shape[axis];
        low[axis] = std::min(low[axis], position);
        high[axis] = std::max(high[axis], position);
      }
      return true;
    });
    bool tells = false;
    std::vector<std::string> ranges;
    for (size_t axis = 0; axis < rank; ++axis) {
      const bool narrow = 2 * (high[axis] - low[axis] + 1) <= tensor_.shape[axis];
      tells = tells || narrow;
      ranges.push_back(!narrow                   ? "*"
                       : low[axis] == high[axis] ? fmt::format("{}", low[axis])
                                                 : fmt::format("{}..{}", low[axis], high[axis]));
    }
    return tells ? fmt::format("all wrong elements lie at [{}]", fmt::join(ranges, ", ")) : "";
  }

  /// Wrong elements only at every so-many-th place of the rows.
  std::string stripes() const {
    const uint64_t row = extent(0);
    if (comparison_.mismatches < 4 || !comparison_.first) return "";
    const uint64_t first = comparison_.first->index % row;
    uint64_t period = 256;
    for_each_mismatch([&](uint64_t index) {
      while (period > 1 && index % row % period != first % period) period /= 2;
      return period > 1;
    });
    if (period < 2 || row < 2 * period) return "";
    return fmt::format("all wrong elements have a last index that is {} modulo {}", first % period,
                       period);
  }

  std::string coarse() const {
    if (!is_floating(tensor_.dtype) || comparison_.max_bound_ratio >= 100) return "";
    return fmt::format(
        "the errors are small, up to {:.3g} times the bound: is something rounded or "
        "summed in too low a precision?",
        comparison_.max_bound_ratio);
  }

  std::string everywhere() const {
    const bool all = comparison_.mismatches == elements() && elements() > 1;
    return all ? "every element is wrong" : "";
  }

  /// Calls visit(flat index) in order until it returns false.
  template <typename Visit>
  void for_each_mismatch(const Visit& visit) const {
    for (uint64_t i = 0; i < elements(); ++i)
      if (!agree(i, i) && !visit(i)) return;
  }

  const BoundTensor& tensor_;
  const std::string& got_;
  const std::string& want_;
  const Comparison& comparison_;
};

}  // namespace

std::string diagnose(const BoundTensor& tensor, const std::string& got, const std::string& want,
                     const Comparison& comparison) {
  if (comparison.mismatches == 0 || tensor.elements > kMaxElements) return "";
  return Diagnosis(tensor, got, want, comparison).hint();
}

bool all_zero(const BoundTensor& tensor, const std::string& bytes) {
  for (uint64_t i = 0; i < tensor.elements; ++i)
    if (element::load(tensor.dtype, bytes.data(), i) != 0) return false;
  return true;
}

}  // namespace assay
