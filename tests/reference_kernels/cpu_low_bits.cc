// Weights of few bits.
#include <algorithm>
#include <cmath>

#include "tasks/dtype.h"
#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

constexpr size_t kGroup = 128;

/// Takes a stream of bits apart, lowest bit of each byte first.
std::vector<int> codes_of(const std::vector<double>& bytes, size_t bits) {
  std::vector<int> codes(bytes.size() * 8 / bits, 0);
  for (size_t bit = 0; bit < codes.size() * bits; ++bit)
    if (static_cast<int>(bytes[bit / 8]) >> (bit % 8) & 1) codes[bit / bits] |= 1 << (bit % bits);
  return codes;
}

template <typename Weight>  // of element and group
std::vector<double> product(const CpuCase& in, Weight weight) {
  const size_t m = in.size("m"), k = in.size("k"), n = in.size("n");
  std::vector<double> y(m * n, 0.0);
  for (size_t p = 0; p < k; ++p)
    for (size_t j = 0; j < n; ++j) {
      const double w = weight(p * n + j, p / kGroup * n + j);
      for (size_t i = 0; i < m; ++i) y[i * n + j] += in.tensor("x")[i * k + p] * w;
    }
  return y;
}

CpuOutputs four_bit_product(const CpuCase& in) {
  const std::vector<int> codes = codes_of(in.tensor("wq"), 4);
  return {{"y", product(in, [&](size_t element, size_t group) {
             const int signed_code = codes[element] < 8 ? codes[element] : codes[element] - 16;
             return in.tensor("s")[group] * signed_code;
           })}};
}

CpuOutputs few_bit_product(const CpuCase& in) {
  const std::vector<int> codes = codes_of(in.tensor("wq"), in.size("bits"));
  return {{"y", product(in, [&](size_t element, size_t group) {
             return in.tensor("s")[group] * (codes[element] - in.tensor("zp")[group]);
           })}};
}

CpuOutputs quantise(const CpuCase& in) {
  const size_t k = in.size("k"), n = in.size("n"), bits = in.size("bits");
  const std::vector<double>& w = in.tensor("w");
  const int most = (1 << (bits - 1)) - 1;
  std::vector<double> s(k / kGroup * n), wq(k * n * bits / 8, 0.0);
  for (size_t group = 0; group < s.size(); ++group) {
    double largest = 0;
    for (size_t p = 0; p < kGroup; ++p)
      largest = std::max(largest, std::abs(w[(group / n * kGroup + p) * n + group % n]));
    const float scale = static_cast<float>(largest) / static_cast<float>(most);
    s[group] = rounded(Dtype::f16, std::max(scale, std::ldexp(1.0f, -14)));
  }
  for (size_t element = 0; element < k * n; ++element) {
    const auto scale = static_cast<float>(s[element / n / kGroup * n + element % n]);
    const float ratio = static_cast<float>(w[element]) / scale;
    const int code = std::clamp(static_cast<int>(std::nearbyint(ratio)), -most - 1, most);
    for (size_t i = 0; i < bits; ++i)
      if (code >> i & 1) wq[(element * bits + i) / 8] += 1 << ((element * bits + i) % 8);
  }
  return {{"s", s}, {"wq", wq}};
}

}  // namespace

CpuReferences low_bit_references() {
  return {{"tilus-gemm-w-int4", four_bit_product},
          {"tilus-gemm-w-uintx", few_bit_product},
          {"tilus-quant-pack", quantise}};
}

}  // namespace assay
