// Ternary weights.
#include <cmath>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

/// Weight k of a row whose words start at `first`.
double weight(const std::vector<double>& packed, size_t first, size_t k) {
  const auto word = static_cast<uint32_t>(packed[first + k / 16]);
  return static_cast<double>(word / (1u << (2 * (k % 16))) % 4) - 1;
}

CpuOutputs quantise(const CpuCase& in) {
  const std::vector<double>& w = in.tensor("w");
  const size_t shards = in.size("shards"), of_shard = w.size() / shards;
  std::vector<double> gamma(shards), packed(w.size() / 16, 0.0);
  for (size_t s = 0; s < shards; ++s) {
    double sum = 0;
    for (size_t i = 0; i < of_shard; ++i) sum += std::abs(w[s * of_shard + i]);
    gamma[s] = in.scalar("eps") + sum / static_cast<double>(of_shard);
  }
  for (size_t i = 0; i < w.size(); ++i) {
    const double half = static_cast<float>(gamma[i / of_shard]) / 2;
    const double code = w[i] > half ? 2 : w[i] < -half ? 0 : 1;
    packed[i / 16] += code * std::pow(4, static_cast<double>(i % 16));
  }
  return {{"gamma", gamma}, {"packed", packed}};
}

/// Sum of weights times x, scaled, for a row of a matrix of `rows` rows.
double product(const CpuCase& in, const double* x, size_t first_word, double gamma) {
  double sum = 0;
  for (size_t k = 0; k < in.size("cols"); ++k)
    sum += weight(in.tensor("packed"), first_word, k) * x[k];
  return gamma * sum;
}

CpuOutputs gemv(const CpuCase& in) {
  const size_t rows = in.size("rows"), cols = in.size("cols"), shards = in.size("shards");
  std::vector<double> y;
  for (size_t layer = 0; layer < in.size("layers"); ++layer)
    for (size_t b = 0; b < in.size("batch"); ++b)
      for (size_t n = 0; n < rows; ++n)
        y.push_back(product(in, &in.tensor("x")[(layer * in.size("batch") + b) * cols],
                            (layer * rows + n) * cols / 16,
                            in.tensor("gamma")[layer * shards + n * shards / rows]));
  return {{"y", y}};
}

CpuOutputs gemm(const CpuCase& in) {
  const size_t rows = in.size("rows"), cols = in.size("cols");
  std::vector<double> y;
  for (size_t i = 0; i < in.size("m"); ++i)
    for (size_t n = 0; n < rows; ++n)
      y.push_back(product(in, &in.tensor("x")[i * cols], n * cols / 16,
                          in.tensor("gamma")[n * in.size("shards") / rows]));
  return {{"y", y}};
}

}  // namespace

CpuReferences ternary_references() {
  return {{"ternary-absmean-quantise-pack", quantise},
          {"ternary-gemv-2bit", gemv},
          {"ternary-gemm-fp16", gemm}};
}

}  // namespace assay
