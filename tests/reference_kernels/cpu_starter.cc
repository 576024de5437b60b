// The tasks of the suite starter.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

std::vector<double> vector_add(const CpuCase& in) {
  std::vector<double> sum = in.tensor("a");
  std::transform(sum.begin(), sum.end(), in.tensor("b").begin(), sum.begin(), std::plus<>());
  return sum;
}

std::vector<double> row_softmax(const CpuCase& in) {
  const std::vector<double>& offsets = in.tensor("offsets");
  std::vector<double> y = in.tensor("x");
  for (size_t row = 0; row + 1 < offsets.size(); ++row) {
    const auto begin = y.begin() + static_cast<std::ptrdiff_t>(offsets[row]);
    const auto end = y.begin() + static_cast<std::ptrdiff_t>(offsets[row + 1]);
    if (begin == end) continue;
    const double largest = *std::max_element(begin, end);
    std::transform(begin, end, begin, [&](double value) { return std::exp(value - largest); });
    const double sum = std::accumulate(begin, end, 0.0);
    std::transform(begin, end, begin, [&](double value) { return value / sum; });
  }
  return y;
}

std::vector<double> rmsnorm(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("x"), &weight = in.tensor("weight");
  const size_t cols = in.size("cols");
  std::vector<double> y(x.size());
  for (size_t start = 0; start < x.size(); start += cols) {
    const double* row = x.data() + start;
    const double mean_square = std::inner_product(row, row + cols, row, 0.0) / double(cols);
    const double scale = 1 / std::sqrt(mean_square + in.scalars.at("eps"));
    for (size_t c = 0; c < cols; ++c) y[start + c] = row[c] * scale * weight[c];
  }
  return y;
}

std::vector<double> matmul(const CpuCase& in) {
  const std::vector<double>&a = in.tensor("a"), &b = in.tensor("b");
  const size_t m = in.size("m"), n = in.size("n"), k = in.size("k");
  std::vector<double> c(m * n, 0.0);
  for (size_t i = 0; i < m; ++i)
    for (size_t p = 0; p < k; ++p)
      for (size_t j = 0; j < n; ++j) c[i * n + j] += a[i * k + p] * b[p * n + j];
  return c;
}

std::vector<double> prefix_sum(const CpuCase& in) {
  std::vector<double> y = in.tensor("x");
  std::partial_sum(y.begin(), y.end(), y.begin());
  return y;
}

std::vector<double> histogram(const CpuCase& in) {
  std::vector<double> counts(in.size("bins"), 0.0);
  for (const double value : in.tensor("values"))
    if (value >= 0 && value < double(counts.size())) ++counts[static_cast<size_t>(value)];
  return counts;
}

std::vector<double> transpose_padded(const CpuCase& in) {
  const std::vector<double>& x = in.tensor("x");
  const size_t rows = in.size("rows"), cols = in.size("cols"), ld = in.size("ld");
  std::vector<double> y(cols * ld, 0.0);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < cols; ++c) y[c * ld + r] = x[r * cols + c];
  return y;
}

std::vector<double> gather(const CpuCase& in) {
  const std::vector<double>& table = in.tensor("table");
  const size_t cols = in.size("cols");
  std::vector<double> y;
  for (const double index : in.tensor("index")) {
    if (index < 0) {
      y.insert(y.end(), cols, 0.0);
    } else {
      const double* row = table.data() + static_cast<size_t>(index) * cols;
      y.insert(y.end(), row, row + cols);
    }
  }
  return y;
}

/// A task whose one output is what `compute` returns.
CpuReference one_output(const std::string& name, std::vector<double> (*compute)(const CpuCase&)) {
  return [=](const CpuCase& in) { return CpuOutputs{{name, compute(in)}}; };
}

}  // namespace

CpuReferences starter_references() {
  return {
      {"vector-add", one_output("c", vector_add)},
      {"row-softmax", one_output("y", row_softmax)},
      {"rmsnorm", one_output("y", rmsnorm)},
      {"matmul", one_output("c", matmul)},
      {"prefix-sum", one_output("y", prefix_sum)},
      {"histogram", one_output("counts", histogram)},
      {"gather", one_output("y", gather)},
      {"transpose-padded", one_output("y", transpose_padded)},
  };
}

}  // namespace assay
