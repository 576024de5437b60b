// Order statistics, bootstrap intervals and autocorrelation of small samples.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay::statistics {

/// The p-quantile (0 <= p <= 1) by linear interpolation between order statistics; NaN when empty.
double quantile(std::span<const double> values, double p);
double median(std::span<const double> values);

struct Interval {
  double low = 0;
  double high = 0;
  double half_width() const { return (high - low) / 2; }
};

/// A confidence interval (about `level`) of the median of independent values. Below 20 values:
/// order statistics, the narrowest symmetric pair whose binomial coverage reaches the level (the
/// extremes where none does). From 20 on: the hull of that and of a percentile bootstrap with 2000
/// resamples drawn from `seed`; the bootstrap alone covers only 91 % at 24 values. Fewer than 2
/// values give an infinite interval.
Interval median_interval(std::span<const double> values, double level = 0.95, uint64_t seed = 1);

/// Coverage of the interval from the k-th smallest to the k-th largest of n values, as an interval
/// of the median: 1 - 2 P(Binomial(n, 1/2) < k).
double order_statistic_coverage(int n, int k);

/// Lag-1 autocorrelation; 0 for fewer than 3 values or no variance.
double autocorrelation(std::span<const double> values);

}  // namespace assay::statistics
