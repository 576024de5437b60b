// The suite attention-and-serving.
#include <algorithm>
#include <cmath>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

CpuOutputs rotary(const CpuCase& in) {
  const std::vector<double>& x = in.tensor("x");
  const size_t length = in.size("length"), half = in.size("dim") / 2;
  std::vector<double> o(x.size());
  for (size_t row = 0; row < x.size() / (2 * half); ++row)
    for (size_t i = 0; i < half; ++i) {
      const double c = in.tensor("cosines")[row % length * half + i];
      const double s = in.tensor("sines")[row % length * half + i];
      const size_t low = row * 2 * half + i, high = low + half;
      o[low] = x[low] * c - x[high] * s;
      o[high] = x[high] * c + x[low] * s;
    }
  return {{"o", o}};
}

CpuOutputs simple_rms_norm(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("x"), &dy = in.tensor("dy");
  const size_t cols = in.size("cols");
  const auto n = static_cast<double>(cols);
  std::vector<double> y(x.size());
  for (size_t start = 0; start < x.size(); start += cols) {
    double squares = 0, projection = 0;
    for (size_t c = start; c < start + cols; ++c) squares += x[c] * x[c];
    const double rstd = 1 / std::sqrt(squares / n + in.scalar("eps"));
    for (size_t c = start; c < start + cols; ++c) projection += x[c] * rstd * dy[c] / n;
    for (size_t c = start; c < start + cols; ++c)
      y[c] = in.scalar("mode") == 0 ? x[c] * rstd : rstd * (dy[c] - x[c] * rstd * projection);
  }
  return {{"y", y}};
}

CpuOutputs gemm(const CpuCase& in) {
  const std::vector<double>&a = in.tensor("a"), &b = in.tensor("b");
  const size_t m = in.size("m"), n = in.size("n"), k = in.size("k");
  std::vector<double> c(m * n, 0.0);
  for (size_t i = 0; i < m; ++i)
    for (size_t p = 0; p < k; ++p)
      for (size_t j = 0; j < n; ++j) c[i * n + j] += a[i * k + p] * b[p * n + j];
  return {{"c", c}};
}

CpuOutputs gated_step(const CpuCase& in) {
  const size_t keys = in.size("keys"), values = in.size("values");
  std::vector<double> h = in.tensor("h"), o;
  for (size_t head = 0; head < in.size("batch") * in.size("heads"); ++head) {
    std::vector<double> sum(values, 0.0);
    for (size_t row = head * keys; row < (head + 1) * keys; ++row)
      for (size_t e = 0; e < values; ++e) {
        double& state = h[row * values + e];
        state = std::exp(in.tensor("g")[row]) * state +
                in.tensor("k")[row] * in.tensor("v")[head * values + e];
        sum[e] += in.tensor("q")[row] * state;
      }
    for (const double value : sum) o.push_back(in.scalar("scale") * value);
  }
  return {{"h", h}, {"o", o}};
}

/// Newton's iteration from below, on the finite entries, shifted by their maximum.
CpuOutputs entmax(const CpuCase& in) {
  const std::vector<double>& x = in.tensor("x");
  const size_t cols = in.size("cols");
  const double order = in.scalar("order");
  std::vector<double> y(x.size(), 0.0), taus;
  for (size_t start = 0; start < x.size(); start += cols) {
    const double largest = *std::max_element(&x[start], &x[start] + cols);
    if (std::isinf(largest)) {
      taus.push_back(0);
      continue;
    }
    const auto above = [&](size_t c, double tau) {
      return std::max(0.0, (x[c] - largest) / order - tau);
    };
    double tau = -1;
    for (int step = 0; step < 200; ++step) {
      double sum = 0, slope = 0;
      for (size_t c = start; c < start + cols; ++c)
        if (above(c, tau) > 0) {
          sum += std::pow(above(c, tau), order);
          slope += order * std::pow(above(c, tau), order - 1);
        }
      tau += std::max(0.0, (sum - 1) / slope);
    }
    taus.push_back(largest / order + tau);
    for (size_t c = start; c < start + cols; ++c) y[c] = std::pow(above(c, tau), order);
  }
  return {{"y", y}, {"tau", taus}};
}

}  // namespace

CpuReferences serving_references() {
  return {{"tk-rotary", rotary},
          {"lightning-srmsnorm-fwdbwd", simple_rms_norm},
          {"tk-gemm-bf16", gemm},
          {"gla-recurrent-step", gated_step},
          {"entmax-rowwise-fwd", entmax}};
}

}  // namespace assay
