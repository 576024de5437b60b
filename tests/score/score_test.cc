#include "evaluator/score/score.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "evaluator/score/roofline.h"

namespace assay {
namespace {

TEST(Roofline, TakesTheSlowerOfMemoryAndCompute) {
  const DeviceProfile h200 = *datasheet("NVIDIA H200");
  BoundCase add;
  add.bytes = 3.0 * 4 * (1 << 24);
  add.flops = 1 << 24;
  EXPECT_NEAR(roofline_us(add, "fp32", h200), 41.9, 0.1);
  BoundCase product;
  product.flops = 2.0 * 8192 * 8192 * 8192;
  product.bytes = 3.0 * 2 * 8192 * 8192;
  EXPECT_NEAR(roofline_us(product, "tc16", h200), 1110, 2);
}

TEST(Roofline, ABurstMayKeepTwoCachesOfTraffic) {
  const DeviceProfile h200 = *datasheet("NVIDIA H200");
  BoundCase small;
  small.bytes = 1 << 20;
  EXPECT_EQ(burst_floor_us(small, h200, 100), 0);
  EXPECT_GT(burst_floor_us(small, h200, 1000), 0);
  EXPECT_LT(burst_floor_us(small, h200, 1000), 1000 * roofline_us(small, "fp32", h200));
}

TEST(Roofline, AnUnknownDeviceHasNoDatasheet) {
  EXPECT_FALSE(datasheet("GeForce 256").has_value());
}

TEST(DeviceProfile, SurvivesJson) {
  const DeviceProfile h200 = *datasheet("NVIDIA H200");
  const auto copy = nlohmann::json(h200).get<DeviceProfile>();
  EXPECT_EQ(nlohmann::json(copy), nlohmann::json(h200));
}

TEST(NormalisedScore, IsZeroAtNaiveAndOneAtExpert) {
  EXPECT_DOUBLE_EQ(*normalised_score(1, 8), 0);
  EXPECT_DOUBLE_EQ(*normalised_score(8, 8), 1);
  EXPECT_NEAR(*normalised_score(2, 8), 1.0 / 3, 1e-12);
  EXPECT_LT(*normalised_score(0.5, 8), 0);
  EXPECT_FALSE(normalised_score(2, 1).has_value());
}

TEST(SolScore, IsAHalfAtTheBaselineAndOneAtTheLimit) {
  EXPECT_DOUBLE_EQ(*sol_score(60, 60, 41.9), 0.5);
  EXPECT_DOUBLE_EQ(*sol_score(41.9, 60, 41.9), 1);
  EXPECT_NEAR(*sol_score(50, 60, 41.9), 0.69, 0.005);
  EXPECT_FALSE(sol_score(50, 40, 41.9).has_value());
}

TEST(Relative, DividesAndAddsIntervalsInQuadrature) {
  const Speedup candidate{4, {4 / 1.03, 4 * 1.03}};
  const Speedup expert{2, {2 / 1.04, 2 * 1.04}};
  const Speedup ratio = relative(candidate, expert);
  EXPECT_DOUBLE_EQ(ratio.value, 2);
  EXPECT_NEAR(ratio.interval.high, 2 * 1.0503, 2e-3);
}

TEST(GeometricMean, IsUndefinedWithoutPositiveValues) {
  EXPECT_DOUBLE_EQ(*geometric_mean(std::vector<double>{1, 4, 16}), 4);
  EXPECT_FALSE(geometric_mean(std::vector<double>{}).has_value());
  EXPECT_FALSE(geometric_mean(std::vector<double>{1, 0}).has_value());
}

}  // namespace
}  // namespace assay
