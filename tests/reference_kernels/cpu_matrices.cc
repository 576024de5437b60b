// Products, convolution and attention.
#include <algorithm>
#include <cmath>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

CpuOutputs gemm_leaky_relu(const CpuCase& in) {
  const std::vector<double>&a = in.tensor("a"), &b = in.tensor("b");
  const size_t m = in.size("m"), n = in.size("n"), k = in.size("k");
  std::vector<double> c(m * n, 0.0);
  for (size_t i = 0; i < m; ++i)
    for (size_t p = 0; p < k; ++p)
      for (size_t j = 0; j < n; ++j) c[i * n + j] += a[i * k + p] * b[p * n + j];
  for (double& value : c) value = std::max(value, 0.01 * value);
  return {{"c", c}};
}

CpuOutputs convolution(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("x"), &w = in.tensor("w"), &bias = in.tensor("bias");
  const size_t channels = in.size("channels"), filters = in.size("filters");
  const long height = long(in.size("height")), width = long(in.size("width"));
  const long r = long(in.size("filter_height")), s = long(in.size("filter_width"));
  const long stride = long(in.size("stride")), pad = long(in.size("pad"));
  const long out_height = (height + 2 * pad - r) / stride + 1;
  const long out_width = (width + 2 * pad - s) / stride + 1;
  std::vector<double> y;
  for (size_t image = 0; image < in.size("images"); ++image)
    for (long p = 0; p < out_height; ++p)
      for (long q = 0; q < out_width; ++q)
        for (size_t filter = 0; filter < filters; ++filter) {
          double sum = bias[filter];
          for (long i = 0; i < r; ++i)
            for (long j = 0; j < s; ++j) {
              const long row = p * stride + i - pad, column = q * stride + j - pad;
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              const size_t from =
                  ((image * size_t(height) + size_t(row)) * size_t(width) + size_t(column)) *
                  channels;
              const size_t weights =
                  ((filter * size_t(r) + size_t(i)) * size_t(s) + size_t(j)) * channels;
              for (size_t c = 0; c < channels; ++c) sum += x[from + c] * w[weights + c];
            }
          y.push_back(std::max(sum, 0.0));
        }
  return {{"y", y}};
}

CpuOutputs paged_decode(const CpuCase& in) {
  const std::vector<double>&q = in.tensor("q"), &keys = in.tensor("keys");
  const std::vector<double>&values = in.tensor("values"), &table = in.tensor("table");
  const std::vector<double>& lengths = in.tensor("lengths");
  const size_t heads = in.size("heads"), kv_heads = in.size("kv_heads"), dim = in.size("dim");
  const size_t page = in.size("page"), most_pages = in.size("most_pages");
  std::vector<double> o;
  for (size_t b = 0; b < lengths.size(); ++b)
    for (size_t h = 0; h < heads; ++h) {
      std::vector<double> sums(dim, 0.0), scores;
      const auto row = [&](size_t t) {
        const auto at = size_t(table[b * most_pages + t / page]);
        return ((at * page + t % page) * kv_heads + h / (heads / kv_heads)) * dim;
      };
      for (size_t t = 0; t < size_t(lengths[b]); ++t) {
        double dot = 0;
        for (size_t d = 0; d < dim; ++d) dot += q[(b * heads + h) * dim + d] * keys[row(t) + d];
        scores.push_back(dot * in.scalar("scale"));
      }
      double total = 0;
      for (size_t t = 0; t < scores.size(); ++t) {
        const double weight = std::exp(scores[t] - *std::max_element(scores.begin(), scores.end()));
        total += weight;
        for (size_t d = 0; d < dim; ++d) sums[d] += weight * values[row(t) + d];
      }
      for (const double sum : sums) o.push_back(scores.empty() ? 0 : sum / total);
    }
  return {{"o", o}};
}

}  // namespace

CpuReferences matrix_references() {
  return {{"gemm-fp16-leakyrelu", gemm_leaky_relu},
          {"conv2d-fp16-nhwc", convolution},
          {"paged-decode-attention", paged_decode}};
}

}  // namespace assay
