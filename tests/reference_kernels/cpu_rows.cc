// Norms, softmax and losses over rows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

CpuOutputs softmax_rows(const CpuCase& in) {
  std::vector<double> y = in.tensor("x");
  const size_t cols = in.size("cols");
  for (size_t start = 0; start < y.size(); start += cols) {
    const auto begin = y.begin() + static_cast<std::ptrdiff_t>(start);
    const auto end = begin + static_cast<std::ptrdiff_t>(cols);
    const double largest = *std::max_element(begin, end);
    double sum = 0;
    for (auto value = begin; value != end; ++value)
      sum += * value = std::isinf(*value) ? 0 : std::exp(*value - largest);
    if (sum > 0) std::for_each(begin, end, [sum](double& value) { value /= sum; });
  }
  return {{"y", y}};
}

CpuOutputs rmsnorm_fwd(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("x"), &w = in.tensor("w");
  const size_t cols = in.size("cols");
  std::vector<double> y(x.size());
  for (size_t start = 0; start < x.size(); start += cols) {
    double squares = 0;
    for (size_t c = 0; c < cols; ++c) squares += x[start + c] * x[start + c];
    const double scale = 1 / std::sqrt(squares / double(cols) + in.scalar("eps"));
    for (size_t c = 0; c < cols; ++c) y[start + c] = x[start + c] * scale * w[c];
  }
  return {{"y", y}};
}

CpuOutputs layernorm_fwd(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("x"), &w = in.tensor("w"), &b = in.tensor("b");
  const size_t cols = in.size("cols");
  std::vector<double> y(x.size()), means, rstds;
  for (size_t start = 0; start < x.size(); start += cols) {
    double mean = 0, variance = 0;
    for (size_t c = 0; c < cols; ++c) mean += x[start + c] / double(cols);
    for (size_t c = 0; c < cols; ++c) variance += std::pow(x[start + c] - mean, 2) / double(cols);
    const double rstd = 1 / std::sqrt(variance + in.scalar("eps"));
    for (size_t c = 0; c < cols; ++c) y[start + c] = (x[start + c] - mean) * rstd * w[c] + b[c];
    means.push_back(mean);
    rstds.push_back(rstd);
  }
  return {{"y", y}, {"mean", means}, {"rstd", rstds}};
}

CpuOutputs layernorm_bwd(const CpuCase& in) {
  const std::vector<double>&dy = in.tensor("dy"), &x = in.tensor("x"), &w = in.tensor("w");
  const std::vector<double>&mean = in.tensor("mean"), &rstd = in.tensor("rstd");
  const size_t rows = in.size("rows"), cols = in.size("cols");
  std::vector<double> dx(x.size()), dw(cols, 0.0), db(cols, 0.0);
  for (size_t r = 0; r < rows; ++r) {
    const auto normal = [&](size_t c) { return (x[r * cols + c] - mean[r]) * rstd[r]; };
    double c1 = 0, c2 = 0;
    for (size_t c = 0; c < cols; ++c) {
      const double gradient = dy[r * cols + c];
      c1 += gradient * w[c] * normal(c) / double(cols);
      c2 += gradient * w[c] / double(cols);
      dw[c] += gradient * normal(c);
      db[c] += gradient;
    }
    for (size_t c = 0; c < cols; ++c)
      dx[r * cols + c] = rstd[r] * (dy[r * cols + c] * w[c] - c2 - normal(c) * c1);
  }
  return {{"dx", dx}, {"dw", dw}, {"db", db}};
}

CpuOutputs cross_entropy(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("logits"), &target = in.tensor("target");
  const double smooth = in.scalar("smooth"), zcoef = in.scalar("zcoef"), inv_n = in.scalar("inv_n");
  const size_t classes = in.size("classes");
  std::vector<double> gradient(x.size()), losses, lses;
  for (size_t r = 0; r < target.size(); ++r) {
    const double* row = x.data() + r * classes;
    const double largest = *std::max_element(row, row + classes);
    double sum = 0, mean = 0;
    for (size_t v = 0; v < classes; ++v) {
      sum += std::exp(row[v] - largest);
      mean += row[v] / double(classes);
    }
    const double lse = largest + std::log(sum);
    lses.push_back(lse);
    if (target[r] == -100) {
      losses.push_back(0);
      continue;
    }
    const auto label = static_cast<size_t>(target[r]);
    losses.push_back(
        inv_n * ((1 - smooth) * (lse - row[label]) + smooth * (lse - mean) + zcoef * lse * lse));
    for (size_t v = 0; v < classes; ++v)
      gradient[r * classes + v] =
          inv_n * (std::exp(row[v] - lse) * (1 + 2 * zcoef * lse) - smooth / double(classes) -
                   (v == label ? 1 - smooth : 0));
  }
  return {{"logits", gradient}, {"loss", losses}, {"lse", lses}};
}

CpuOutputs jagged_softmax(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("x"), &offsets = in.tensor("offsets");
  const size_t cols = in.size("cols");
  std::vector<double> y(x.size());
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const auto begin = static_cast<size_t>(offsets[s]), end = static_cast<size_t>(offsets[s + 1]);
    for (size_t c = 0; c < cols; ++c) {
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (size_t t = begin; t < end; ++t) largest = std::max(largest, x[t * cols + c]);
      for (size_t t = begin; t < end; ++t) sum += std::exp(x[t * cols + c] - largest);
      for (size_t t = begin; t < end; ++t)
        y[t * cols + c] = std::exp(x[t * cols + c] - largest) / sum;
    }
  }
  return {{"y", y}};
}

}  // namespace

CpuReferences row_references() {
  return {
      {"softmax-rows", softmax_rows},         {"rmsnorm-fwd", rmsnorm_fwd},
      {"layernorm-fwd", layernorm_fwd},       {"layernorm-bwd", layernorm_bwd},
      {"cross-entropy-fused", cross_entropy}, {"jagged-softmax", jagged_softmax},
  };
}

}  // namespace assay
