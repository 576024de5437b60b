#include "evaluator/timing/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace assay::statistics {

namespace {

double quantile_of_sorted(std::span<const double> sorted, double p) {
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = position - static_cast<double>(below);
  return sorted[below] * (1 - weight) + sorted[above] * weight;
}

std::vector<double> sorted_copy(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return sorted;
}

}  // namespace

double quantile(std::span<const double> values, double p) {
  return quantile_of_sorted(sorted_copy(values), p);
}

double median(std::span<const double> values) { return quantile(values, 0.5); }

double order_statistic_coverage(int n, int k) {
  double tail = 0;
  double term = std::pow(0.5, n);  // P(Binomial(n, 1/2) = 0)
  for (int i = 0; i < k; ++i) {
    tail += term;
    term *= static_cast<double>(n - i) / (i + 1);
  }
  return 1 - 2 * tail;
}

Interval median_interval(std::span<const double> values, double level, uint64_t seed) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (values.size() < 2) return {-kInfinity, kInfinity};
  const std::vector<double> sorted = sorted_copy(values);
  const int n = static_cast<int>(sorted.size());
  int k = 1;
  while (k + 1 <= n / 2 && order_statistic_coverage(n, k + 1) >= level) ++k;
  const Interval exact{sorted[static_cast<size_t>(k - 1)], sorted[static_cast<size_t>(n - k)]};
  if (n < 20) return exact;
  constexpr int kResamples = 2000;
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<size_t> pick(0, sorted.size() - 1);
  std::vector<double> medians(kResamples), resample(sorted.size());
  for (double& resampled : medians) {
    for (double& value : resample) value = sorted[pick(generator)];
    resampled = median(resample);
  }
  std::ranges::sort(medians);
  return {std::min(exact.low, quantile_of_sorted(medians, (1 - level) / 2)),
          std::max(exact.high, quantile_of_sorted(medians, (1 + level) / 2))};
}

double autocorrelation(std::span<const double> values) {
  if (values.size() < 3) return 0;
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double variance = 0, covariance = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    variance += (values[i] - mean) * (values[i] - mean);
    if (i > 0) covariance += (values[i] - mean) * (values[i - 1] - mean);
  }
  return variance > 0 ? covariance / variance : 0;
}

}  // namespace assay::statistics
