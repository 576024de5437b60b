#include "evaluator/timing/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace assay::statistics {
namespace {

TEST(Quantile, InterpolatesBetweenOrderStatistics) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(median(values), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(values, 0.25), 1.75);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(OrderStatisticCoverage, MatchesTheBinomialTables) {
  EXPECT_NEAR(order_statistic_coverage(12, 3), 0.9614, 1e-4);
  EXPECT_NEAR(order_statistic_coverage(8, 1), 0.9922, 1e-4);
}

TEST(MedianInterval, TakesTheThirdAndTenthOfTwelveValues) {
  std::vector<double> values;
  for (int i = 12; i >= 1; --i) values.push_back(i);
  const Interval interval = median_interval(values);
  EXPECT_DOUBLE_EQ(interval.low, 3);
  EXPECT_DOUBLE_EQ(interval.high, 10);
}

TEST(MedianInterval, OfOneValueIsInfinite) {
  EXPECT_TRUE(std::isinf(median_interval(std::vector<double>{1.0}).half_width()));
}

TEST(MedianInterval, CoversTheTrueMedianAboutAsOftenAsItSays) {
  std::mt19937_64 generator(7);
  std::normal_distribution<double> normal(5, 2);
  for (const size_t n : {size_t{8}, size_t{12}, size_t{24}, size_t{40}}) {
    int covered = 0;
    constexpr int kTrials = 400;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<double> values(n);
      for (double& value : values) value = normal(generator);
      const Interval interval = median_interval(values);
      covered += interval.low <= 5 && 5 <= interval.high;
    }
    EXPECT_GE(covered, 0.915 * kTrials) << n << " values";
  }
}

TEST(Autocorrelation, SeesADriftAndNotNoise) {
  std::vector<double> drift, noise;
  std::mt19937_64 generator(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < 200; ++i) {
    drift.push_back(i);
    noise.push_back(normal(generator));
  }
  EXPECT_GT(autocorrelation(drift), 0.9);
  EXPECT_LT(std::abs(autocorrelation(noise)), 0.2);
  EXPECT_EQ(autocorrelation(std::vector<double>{1, 1, 1, 1}), 0);
}

}  // namespace
}  // namespace assay::statistics
