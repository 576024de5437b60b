// Selection and sorting.
#include <algorithm>
#include <numeric>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

CpuOutputs topk_rows(const CpuCase& in) {
  const std::vector<double>& x = in.tensor("x");
  const size_t cols = in.size("cols"), k = in.size("k");
  std::vector<double> values, indices;
  for (size_t row = 0; row < x.size(); row += cols) {
    std::vector<size_t> order(cols);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return x[row + a] > x[row + b]; });
    for (size_t i = 0; i < k; ++i) {
      values.push_back(x[row + order[i]]);
      indices.push_back(double(order[i]));
    }
  }
  return {{"values", values}, {"indices", indices}};
}

CpuOutputs sort_pairs(const CpuCase& in) {
  const std::vector<double>&keys = in.tensor("keys"), &values = in.tensor("values");
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  std::vector<double> sorted_keys, sorted_values;
  for (const size_t i : order) {
    sorted_keys.push_back(keys[i]);
    sorted_values.push_back(values[i]);
  }
  return {{"sorted_keys", sorted_keys}, {"sorted_values", sorted_values}};
}

}  // namespace

CpuReferences ordering_references() {
  return {{"topk-rows", topk_rows}, {"radix-sort-pairs", sort_pairs}};
}

}  // namespace assay
