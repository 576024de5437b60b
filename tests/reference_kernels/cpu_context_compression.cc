// Long contexts in short form: clusters of keys, Fourier coefficients of channels.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

/// Weights of one key of each cluster, for one query.
std::vector<double> cluster_weights(const double* query, const double* centroids,
                                    const double* sizes, size_t clusters, size_t dim) {
  std::vector<double> weights;
  for (size_t c = 0; c < clusters; ++c) {
    double sum = 0;
    for (size_t d = 0; d < dim; ++d) sum += query[d] * centroids[c * dim + d];
    weights.push_back(sum / std::sqrt(static_cast<double>(dim)));
  }
  const double largest = *std::max_element(weights.begin(), weights.end());
  double denominator = 0;
  for (size_t c = 0; c < clusters; ++c) {
    weights[c] = std::exp(weights[c] - largest);
    denominator += sizes[c] * weights[c];
  }
  for (double& weight : weights) weight /= denominator;
  return weights;
}

CpuOutputs look_clusters_up(const CpuCase& in) {
  const size_t heads = in.size("heads"), queries = in.size("queries"), dim = in.size("dim");
  const size_t clusters = in.size("clusters"), length = in.size("length");
  std::vector<double> avg, keep;
  for (size_t h = 0; h < heads; ++h) {
    std::vector<double> sums(clusters);
    for (size_t m = 0; m < queries; ++m) {
      const std::vector<double> weights = cluster_weights(
          &in.tensor("q")[(h * queries + m) * dim], &in.tensor("centroids")[h * clusters * dim],
          &in.tensor("sizes")[h * clusters], clusters, dim);
      for (size_t c = 0; c < clusters; ++c) sums[c] += weights[c];
    }
    for (double& sum : sums) sum /= static_cast<double>(queries);
    for (size_t l = 0; l < length; ++l) {
      const auto label = static_cast<size_t>(in.tensor("labels")[h * length + l]);
      keep.push_back(label == clusters || sums[label] > in.scalar("threshold") ? 1 : 0);
    }
    avg.insert(avg.end(), sums.begin(), sums.end());
  }
  return {{"avg", avg}, {"keep", keep}};
}

CpuOutputs transform_channels(const CpuCase& in) {
  const size_t length = in.size("length"), channels = in.size("channels");
  const size_t orders = in.size("orders"), window = in.size("window");
  std::vector<double> coef(in.size("batch") * 2 * orders * channels);
  for (size_t b = 0; b < in.size("batch"); ++b)
    for (size_t n = 0; n < orders; ++n)
      for (size_t t = 0; t < length; ++t) {
        const size_t phase = n * (t + in.size("start")) % window;
        const double angle =
            2 * std::numbers::pi * static_cast<double>(phase) / static_cast<double>(window);
        for (size_t c = 0; c < channels; ++c) {
          const double value = in.tensor("x")[(b * length + t) * channels + c];
          coef[((2 * b) * orders + n) * channels + c] += std::cos(angle) * value;
          coef[((2 * b + 1) * orders + n) * channels + c] += std::sin(angle) * value;
        }
      }
  return {{"coef", coef}};
}

}  // namespace

CpuReferences context_compression_references() {
  return {{"squeezed-centroid-lookup", look_clusters_up},
          {"fourier-kv-compress", transform_channels}};
}

}  // namespace assay
