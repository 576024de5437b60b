// Elementwise tasks, look-ups, optimizers and scans.
#include <cmath>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

CpuOutputs swiglu_fwd(const CpuCase& in) {
  const std::vector<double>& gu = in.tensor("gu");
  const size_t width = in.size("width");
  std::vector<double> y;
  for (size_t row = 0; row < gu.size(); row += 2 * width)
    for (size_t c = 0; c < width; ++c) {
      const double gate = gu[row + c], up = gu[row + width + c];
      y.push_back(gate / (1 + std::exp(-gate)) * up);
    }
  return {{"y", y}};
}

CpuOutputs embedding_gather(const CpuCase& in) {
  const std::vector<double>& table = in.tensor("table");
  const size_t cols = in.size("cols");
  const auto scale = static_cast<float>(in.scalar("scale"));
  std::vector<double> y;
  for (const double index : in.tensor("index"))
    for (size_t c = 0; c < cols; ++c)
      // The product in f32 is part of the definition.
      y.push_back(index < 0 ? 0.0f : scale * static_cast<float>(table[size_t(index) * cols + c]));
  return {{"y", y}};
}

CpuOutputs adamw_update(const CpuCase& in) {
  std::vector<double> p = in.tensor("p"), m = in.tensor("m"), v = in.tensor("v");
  const std::vector<double>& g = in.tensor("g");
  const double lr = in.scalar("lr"), b1 = in.scalar("b1"), b2 = in.scalar("b2");
  const double eps = in.scalar("eps"), wd = in.scalar("wd");
  const double c1 = in.scalar("c1"), c2 = in.scalar("c2");
  for (size_t i = 0; i < p.size(); ++i) {
    const double h = in.scalar("gscale") * g[i];
    m[i] = b1 * m[i] + (1 - b1) * h;
    v[i] = b2 * v[i] + (1 - b2) * h * h;
    p[i] -= lr * (m[i] / c1 / (std::sqrt(v[i] / c2) + eps) + wd * p[i]);
  }
  return {{"p", p}, {"m", m}, {"v", v}, {"p16", p}};
}

CpuOutputs cumsum_rows(const CpuCase& in) {
  std::vector<double> y = in.tensor("x");
  const size_t cols = in.size("cols");
  for (size_t row = 0; row < y.size(); row += cols) {
    if (in.scalar("reverse") == 0)
      for (size_t c = 1; c < cols; ++c) y[row + c] += y[row + c - 1];
    else
      for (size_t c = cols - 1; c > 0; --c) y[row + c - 1] += y[row + c];
  }
  return {{"y", y}};
}

/// Sums modulo 2^32, as signed numbers.
CpuOutputs conditional_prefix_sum(const CpuCase& in) {
  std::vector<double> y;
  uint64_t sum = 0;
  size_t positives = 0;
  for (const double value : in.tensor("x")) {
    if (positives % 3 == 1) sum += static_cast<uint64_t>(static_cast<int64_t>(value));
    if (value > 0) ++positives;
    y.push_back(static_cast<int32_t>(static_cast<uint32_t>(sum)));
  }
  return {{"y", y}};
}

}  // namespace

CpuReferences element_references() {
  return {
      {"swiglu-fwd", swiglu_fwd},
      {"embedding-gather", embedding_gather},
      {"adamw-update", adamw_update},
      {"cumsum-rows", cumsum_rows},
      {"rebench-conditional-prefix-sum-v2", conditional_prefix_sum},
  };
}

}  // namespace assay
