#include "reports/estimators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace assay::statistics {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kZ975 = 1.959963984540054;

}  // namespace

std::optional<double> pass_at_k(int n, int c, int k) {
  if (k < 1 || n < k || c < 0 || c > n) return std::nullopt;
  if (n - c < k) return 1.0;
  double none = 1;
  for (int i = n - c + 1; i <= n; ++i) none *= 1 - static_cast<double>(k) / i;
  return 1 - none;
}

std::optional<double> best_of_k(std::span<const double> scores, int k) {
  const int n = static_cast<int>(scores.size());
  if (k < 1 || n < k) return std::nullopt;
  std::vector<double> sorted(scores.begin(), scores.end());
  std::ranges::sort(sorted);
  // The weight of the i-th smallest is C(i-1, k-1) / C(n, k), from the largest down.
  double weight = static_cast<double>(k) / n;
  double sum = 0;
  for (int i = n; i >= k; --i) {
    sum += sorted[static_cast<size_t>(i - 1)] * weight;
    if (i > 1) weight *= static_cast<double>(i - k) / (i - 1);
  }
  return sum;
}

std::optional<double> best_of_k_with_replacement(std::span<const double> scores, int k) {
  const auto n = static_cast<double>(scores.size());
  if (k < 1 || n < k) return std::nullopt;
  std::vector<double> sorted(scores.begin(), scores.end());
  std::ranges::sort(sorted);
  // The i-th smallest is the best where all draws are among the first i, not all among those
  // before.
  double sum = 0;
  for (size_t i = 0; i < sorted.size(); ++i)
    sum += sorted[i] *
           (std::pow(static_cast<double>(i + 1) / n, k) - std::pow(static_cast<double>(i) / n, k));
  return sum;
}

Interval wilson_interval(int successes, int n) {
  if (n <= 0) return {0, 1};
  const double p = static_cast<double>(successes) / n;
  const double z2n = kZ975 * kZ975 / n;
  const double centre = (p + z2n / 2) / (1 + z2n);
  const double half =
      kZ975 / (1 + z2n) * std::sqrt(p * (1 - p) / n + z2n / (4 * static_cast<double>(n)));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double student_t975(int degrees_of_freedom) {
  static constexpr double table[] = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646,
                                     2.3060,  2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
                                     2.1314,  2.1199, 2.1098, 2.1009, 2.0930, 2.0860};
  if (degrees_of_freedom < 1) return kInfinity;
  if (degrees_of_freedom <= 20) return table[degrees_of_freedom - 1];
  // Cornish-Fisher expansion in 1 / df; its error is below 1e-4 from here on.
  const double z = kZ975, v = degrees_of_freedom;
  const double z3 = z * z * z, z5 = z3 * z * z;
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v);
}

Estimate mean(std::span<const double> values) {
  Estimate estimate;
  estimate.count = static_cast<int>(values.size());
  if (values.empty()) {
    estimate.value = std::numeric_limits<double>::quiet_NaN();
    estimate.interval = {-kInfinity, kInfinity};
    return estimate;
  }
  const auto n = static_cast<double>(values.size());
  for (const double value : values) estimate.value += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - estimate.value) * (value - estimate.value);
  estimate.standard_error = values.size() < 2 ? kInfinity : std::sqrt(squares / (n - 1) / n);
  const double half = student_t975(estimate.count - 1) * estimate.standard_error;
  estimate.interval = {estimate.value - half, estimate.value + half};
  return estimate;
}

std::optional<Estimate> geometric_mean_estimate(std::span<const double> values) {
  std::vector<double> logarithms;
  for (const double value : values) {
    if (!(value > 0)) return std::nullopt;
    logarithms.push_back(std::log(value));
  }
  if (logarithms.empty()) return std::nullopt;
  Estimate estimate = mean(logarithms);
  estimate.value = std::exp(estimate.value);
  estimate.interval = {std::exp(estimate.interval.low), std::exp(estimate.interval.high)};
  return estimate;
}

Estimate paired_difference(std::span<const double> a, std::span<const double> b) {
  std::vector<double> differences;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) differences.push_back(a[i] - b[i]);
  return mean(differences);
}

std::optional<double> correlation(std::span<const double> a, std::span<const double> b) {
  const size_t count = std::min(a.size(), b.size());
  if (count < 3) return std::nullopt;
  const double mean_a = mean(a.first(count)).value, mean_b = mean(b.first(count)).value;
  double squares_a = 0, squares_b = 0, products = 0;
  for (size_t i = 0; i < count; ++i) {
    squares_a += (a[i] - mean_a) * (a[i] - mean_a);
    squares_b += (b[i] - mean_b) * (b[i] - mean_b);
    products += (a[i] - mean_a) * (b[i] - mean_b);
  }
  if (!(squares_a > 0) || !(squares_b > 0)) return std::nullopt;
  return products / std::sqrt(squares_a * squares_b);
}

Interval bootstrap_mean(std::span<const double> values, uint64_t seed) {
  if (values.empty()) return {-kInfinity, kInfinity};
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<size_t> pick(0, values.size() - 1);
  std::vector<double> means(2000);
  for (double& resampled : means) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[pick(generator)];
    resampled = sum / static_cast<double>(values.size());
  }
  return {quantile(means, 0.025), quantile(means, 0.975)};
}

double sign_test(int wins, int decided) {
  if (decided <= 0) return 1;
  const int tail = std::min(wins, decided - wins);
  double sum = 0;
  for (int i = 0; i <= tail; ++i)
    sum += std::exp(std::lgamma(decided + 1.0) - std::lgamma(i + 1.0) -
                    std::lgamma(decided - i + 1.0) - decided * std::log(2.0));
  return std::min(1.0, 2 * sum);
}

}  // namespace assay::statistics
