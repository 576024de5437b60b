#include "reports/estimators.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace assay::statistics {
namespace {

TEST(EstimatorsTest, PassAtKAgreesWithHandComputedValues) {
  EXPECT_NEAR(*pass_at_k(10, 3, 1), 0.3, 1e-12);
  EXPECT_NEAR(*pass_at_k(10, 3, 5), 1 - 21.0 / 252, 1e-12);  // 1 - C(7,5)/C(10,5)
  EXPECT_EQ(pass_at_k(10, 0, 10), 0);
  EXPECT_EQ(pass_at_k(10, 6, 5), 1);  // any five hold a success
  EXPECT_NEAR(*pass_at_k(10'000, 1, 100), 0.01, 1e-9);
}

TEST(EstimatorsTest, PassAtKIsUndefinedWithTooFewSamples) {
  EXPECT_FALSE(pass_at_k(4, 4, 5));
  EXPECT_FALSE(pass_at_k(0, 0, 1));
  EXPECT_FALSE(pass_at_k(3, 1, 0));
}

TEST(EstimatorsTest, BestOfKIsTheExpectedMaximumWithoutReplacement) {
  const double scores[] = {1, 2, 3, 4};
  EXPECT_NEAR(*best_of_k(scores, 1), 2.5, 1e-12);
  EXPECT_NEAR(*best_of_k(scores, 2), (4 * 3 + 3 * 2 + 2 * 1) / 6.0, 1e-12);
  EXPECT_NEAR(*best_of_k(scores, 4), 4, 1e-12);
  EXPECT_FALSE(best_of_k(scores, 5));
  // Nine published runs: score@4 = 1.611 (docs/runs.md).
  const double runs[] = {0, .117, .323, .588, .611, 1.156, 1.559, 1.598, 1.808};
  EXPECT_NEAR(*best_of_k(runs, 4), 1.611, 1e-3);
  EXPECT_NEAR(*best_of_k(runs, 8), 1.785, 1e-3);
  // As published, drawn with replacement: 1.526 and 1.700.
  EXPECT_NEAR(*best_of_k_with_replacement(runs, 4), 1.526, 1e-3);
  EXPECT_NEAR(*best_of_k_with_replacement(runs, 8), 1.700, 1e-3);
  EXPECT_FALSE(best_of_k_with_replacement(runs, 10));
}

TEST(EstimatorsTest, BestOfKOfZerosAndOnesIsPassAtK) {
  const double scores[] = {0, 1, 0, 0, 1, 0, 1};
  for (int k = 1; k <= 7; ++k) EXPECT_NEAR(*best_of_k(scores, k), *pass_at_k(7, 3, k), 1e-12);
}

TEST(EstimatorsTest, WilsonAgreesWithPublishedBounds) {
  EXPECT_NEAR(wilson_interval(0, 20).high, 0.161, 5e-4);
  EXPECT_NEAR(wilson_interval(14, 20).low, 0.481, 5e-4);
  EXPECT_NEAR(wilson_interval(14, 20).high, 0.855, 5e-4);
  EXPECT_NEAR(wilson_interval(20, 20).low, 0.839, 5e-4);
}

TEST(EstimatorsTest, GeometricMeanWorksOnLogarithms) {
  const double values[] = {1, 2, 4};
  const auto estimate = geometric_mean_estimate(values);
  ASSERT_TRUE(estimate);
  EXPECT_NEAR(estimate->value, 2, 1e-12);
  // sd of ln = ln 2, se = ln 2 / sqrt 3, t(2) = 4.3027
  EXPECT_NEAR(estimate->interval.high, 2 * std::exp(4.3027 * std::log(2.0) / std::sqrt(3.0)), 1e-9);
  const double broken[] = {1, 0};
  EXPECT_FALSE(geometric_mean_estimate(broken));
  EXPECT_FALSE(geometric_mean_estimate({}));
}

TEST(EstimatorsTest, PairingRemovesWhatTasksHaveInCommon) {
  const double a[] = {1, 10, 100}, b[] = {0, 9, 98};
  const Estimate difference = paired_difference(a, b);
  EXPECT_NEAR(difference.value, 4.0 / 3, 1e-12);
  EXPECT_NEAR(difference.interval.half_width(), 4.3027 / 3, 1e-9);  // sd 1/sqrt 3, se 1/3
}

TEST(EstimatorsTest, StudentsQuantilesMeetTheTable) {
  EXPECT_NEAR(student_t975(1), 12.7062, 1e-4);
  EXPECT_NEAR(student_t975(30), 2.0423, 2e-4);
  EXPECT_NEAR(student_t975(1000), 1.9623, 2e-4);
}

TEST(EstimatorsTest, BootstrapOfAMeanIsAsWideAsItsError) {
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back(i % 2);
  const Interval interval = bootstrap_mean(values);
  EXPECT_NEAR(interval.half_width(), 1.96 * 0.5 / 20, 0.01);
}

TEST(EstimatorsTest, SignTestCountsBothTails) {
  EXPECT_NEAR(sign_test(8, 10), 0.109375, 1e-9);
  EXPECT_EQ(sign_test(5, 10), 1);
  EXPECT_EQ(sign_test(0, 0), 1);
}

/// Cluster-robust standard error of the mean of all samples (Miller, arXiv 2411.00640, with the
/// G / (G - 1) correction), written down once more.
double clustered_error(const std::vector<std::vector<double>>& tasks) {
  double sum = 0, count = 0, squares = 0;
  for (const auto& samples : tasks)
    for (const double sample : samples) {
      sum += sample;
      ++count;
    }
  for (const auto& samples : tasks) {
    double residual = 0;
    for (const double sample : samples) residual += sample - sum / count;
    squares += residual * residual;
  }
  const auto clusters = static_cast<double>(tasks.size());
  return std::sqrt(clusters / (clusters - 1) * squares) / count;
}

TEST(EstimatorsTest, TheErrorOfTheTasksMeansIsTheClusteredError) {
  const std::vector<std::vector<double>> tasks = {
      {1, 1, 1, 0}, {0, 0, 0, 0}, {1, 0, 1, 0}, {1, 1, 1, 1}, {0, 1, 0, 0}};
  std::vector<double> means;
  for (const auto& samples : tasks)
    means.push_back(std::accumulate(samples.begin(), samples.end(), 0.0) / 4);
  EXPECT_NEAR(mean(means).standard_error, clustered_error(tasks), 1e-12);
}

TEST(EstimatorsTest, CorrelatesPairsThatVary) {
  const std::vector<double> a = {1, 2, 3, 4}, down = {8, 6, 4, 2}, flat = {1, 1, 1, 1};
  EXPECT_NEAR(*correlation(a, a), 1, 1e-12);
  EXPECT_NEAR(*correlation(a, down), -1, 1e-12);
  EXPECT_FALSE(correlation(a, flat));
  EXPECT_FALSE(correlation(std::vector<double>{1, 2}, std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace assay::statistics
