// Long contexts in short form: clusters of keys, Fourier coefficients of channels.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

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
  std::vector<double> avg, contradictions;
  for (size_t h = 0; h < heads; ++h) {
    std::vector<double> sums(clusters);
    for (size_t m = 0; m < queries; ++m) {
      const std::vector<double> weights = cluster_weights(
          &in.tensor("q")[(h * queries + m) * dim], &in.tensor("centroids")[h * clusters * dim],
          &in.tensor("sizes")[h * clusters], clusters, dim);
      for (size_t c = 0; c < clusters; ++c) sums[c] += weights[c];
    }
    for (double& sum : sums) sum /= static_cast<double>(queries);
    double& wrong = contradictions.emplace_back(0);
    for (size_t l = 0; l < length; ++l) {
      const auto label = static_cast<size_t>(in.tensor("labels")[h * length + l]);
      const double keep = label == clusters || sums[label] > in.scalar("threshold") ? 1 : 0;
      if (in.tensor("keep")[h * length + l] != keep) ++wrong;
    }
    avg.insert(avg.end(), sums.begin(), sums.end());
  }
  return {{"weights", avg}, {"contradictions", contradictions}};
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

/// The element at one position of head g, of all middle tokens: of keys or values, as `name` says.
std::vector<double> middle_elements(const CpuCase& in, const std::string& name, size_t b, size_t g,
                                    size_t position) {
  const size_t middle = in.size("middle"), orders = in.size("orders"),
               count = in.size(name + "_count");
  const auto& offsets = in.tensor(name + "_offsets");
  const auto begin = static_cast<size_t>(offsets[g]), end = static_cast<size_t>(offsets[g + 1]);
  const size_t columns = in.size("kv_heads") * in.size("dim") - count;
  std::vector<double> elements;
  for (size_t t = 0; t < middle; ++t) {
    if (position >= end - begin) {
      const size_t column = g * in.size("dim") - end + position;
      elements.push_back(in.tensor(name + "_kept")[(b * middle + t) * columns + column]);
      continue;
    }
    const size_t p = begin + position;
    double series = 0;
    for (size_t n = 0; n < orders; ++n) {
      const double turns = static_cast<double>(n * t % in.size("window")) / in.scalar("window");
      const auto& coef = in.tensor(name + "_coef");
      series +=
          coef[(2 * b * orders + n) * count + p] * std::cos(2 * std::numbers::pi * turns) +
          coef[((2 * b + 1) * orders + n) * count + p] * std::sin(2 * std::numbers::pi * turns);
    }
    const auto at = [&](const char* which) { return in.tensor(name + which)[b * count + p]; };
    elements.push_back((series / in.scalar("orders") - at("_offset")) * at("_scale") + at("_mean"));
  }
  return elements;
}

/// Keys or values of one head: elements by dimension, then token, the full ones first.
std::vector<std::vector<double>> head_elements(const CpuCase& in, const std::string& name, size_t b,
                                               size_t g) {
  const size_t full = in.size("full"), kv_heads = in.size("kv_heads"), dim = in.size("dim");
  std::vector<std::vector<double>> elements(dim);
  for (size_t position = 0; position < dim; ++position) {
    const auto d = static_cast<size_t>(in.tensor(name + "_dims")[g * dim + position]);
    for (size_t j = 0; j < full; ++j)
      elements[d].push_back(in.tensor(name + "_full")[((b * full + j) * kv_heads + g) * dim + d]);
    const std::vector<double> middle = middle_elements(in, name, b, g, position);
    elements[d].insert(elements[d].end(), middle.begin(), middle.end());
  }
  return elements;
}

CpuOutputs attend_to_series(const CpuCase& in) {
  const size_t heads = in.size("heads"), kv_heads = in.size("kv_heads"), dim = in.size("dim");
  const size_t tokens = in.size("full") + in.size("middle");
  std::vector<double> o;
  for (size_t b = 0; b < in.size("batch"); ++b)
    for (size_t h = 0; h < heads; ++h) {
      const auto keys = head_elements(in, "k", b, h / (heads / kv_heads));
      const auto values = head_elements(in, "v", b, h / (heads / kv_heads));
      std::vector<double> weights(tokens);
      for (size_t j = 0; j < tokens; ++j)
        for (size_t d = 0; d < dim; ++d)
          weights[j] += in.tensor("q")[(b * heads + h) * dim + d] * keys[d][j];
      const double largest = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& weight : weights) {
        weight = std::exp((weight - largest) / std::sqrt(static_cast<double>(dim)));
        sum += weight;
      }
      for (size_t d = 0; d < dim; ++d)
        o.push_back(std::inner_product(weights.begin(), weights.end(), values[d].begin(), 0.0) /
                    sum);
    }
  return {{"o", o}};
}

}  // namespace

CpuReferences context_compression_references() {
  return {{"squeezed-centroid-lookup", look_clusters_up},
          {"fourier-kv-compress", transform_channels},
          {"fourier-flash-decode", attend_to_series}};
}

}  // namespace assay
