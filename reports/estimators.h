// Estimators of success and speed over samples. Formulas and their sources are in docs/runs.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "evaluator/timing/statistics.h"

namespace assay::statistics {

/// The unbiased estimate of the chance that one of k samples succeeds, when c of n did:
/// 1 - C(n-c, k) / C(n, k). Undefined (absent) where n < k or k < 1.
std::optional<double> pass_at_k(int n, int c, int k);

/// The unbiased estimate of the expected best of k of these scores (failures enter with the score
/// of having nothing). Undefined where there are fewer than k. For scores of 0 and 1 this is
/// pass_at_k.
std::optional<double> best_of_k(std::span<const double> scores, int k);

/// The same where one score may be drawn several times, as RE-Bench estimates it (arXiv
/// 2411.15114): below the true value where there are few scores. Undefined where best_of_k is.
std::optional<double> best_of_k_with_replacement(std::span<const double> scores, int k);

/// Wilson's score interval of a rate at 95 %. (0, 1) for n = 0.
Interval wilson_interval(int successes, int n);

struct Estimate {
  double value = 0;
  Interval interval;          // 95 %
  double standard_error = 0;  // of a geometric mean: of its logarithm; infinite below 2 values
  int count = 0;              // values it rests on
};

/// Mean with Student's interval; infinite below 2 values.
Estimate mean(std::span<const double> values);

/// Geometric mean with Student's interval on the logarithms. Absent for no values, or one that is
/// not positive.
std::optional<Estimate> geometric_mean_estimate(std::span<const double> values);

/// Mean of a[i] - b[i] with Student's interval of the paired differences.
Estimate paired_difference(std::span<const double> a, std::span<const double> b);

/// Pearson's correlation of pairs; absent below 3 pairs and where one side does not vary.
std::optional<double> correlation(std::span<const double> a, std::span<const double> b);

/// Percentile bootstrap of the mean over tasks: 2000 resamples of the values from `seed`. All equal
/// values give a zero-width interval: use wilson_interval for rates there.
Interval bootstrap_mean(std::span<const double> values, uint64_t seed = 1);

/// The two-sided p of the sign test: `wins` of `decided` by chance.
double sign_test(int wins, int decided);

/// The 97.5 % quantile of Student's t.
double student_t975(int degrees_of_freedom);

}  // namespace assay::statistics
