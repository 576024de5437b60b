#include "evaluator/score/returns.h"

#include <gtest/gtest.h>

#include <cmath>

namespace assay {
namespace {

using Maybe = std::optional<double>;

TEST(ReturnsTest, SumsLaterTurnsDiscounted) {
  const Rewards rewards = {0.0, 1.5, 2.0};
  const Rewards sums = discounted_sums(rewards, 0.4);
  EXPECT_DOUBLE_EQ(*sums[2], 2);
  EXPECT_DOUBLE_EQ(*sums[1], 1.5 + 0.8);
  EXPECT_DOUBLE_EQ(*sums[0], 0.4 * 2.3);
  const Rewards maxima = discounted_maxima(rewards, 0.4);
  EXPECT_DOUBLE_EQ(*maxima[1], 1.5);
  EXPECT_DOUBLE_EQ(*maxima[0], 0.6);
}

TEST(ReturnsTest, MaximaOfPenaltiesAreNotZero) {
  const Rewards rewards = {-1.0, -1.0};
  EXPECT_DOUBLE_EQ(*discounted_maxima(rewards, 0.5)[1], -1);
  EXPECT_DOUBLE_EQ(*discounted_maxima(rewards, 0.5)[0], -0.5);
}

TEST(ReturnsTest, AnAbsentRewardMasksWhatHoldsIt) {
  const Rewards rewards = {1.0, std::nullopt, 2.0};
  const Rewards sums = discounted_sums(rewards, 0.4);
  EXPECT_FALSE(sums[0]);
  EXPECT_FALSE(sums[1]);
  EXPECT_DOUBLE_EQ(*sums[2], 2);
}

TEST(AdvantagesTest, NormalisesByMeanAndDeviation) {
  const Rewards rewards = {1.0, 3.0, std::nullopt};  // mean 2, population deviation 1
  const Rewards values = advantages(rewards, Advantage::mean_std);
  EXPECT_NEAR(*values[0], -1, 1e-5);
  EXPECT_NEAR(*values[1], 1, 1e-5);
  EXPECT_FALSE(values[2]);
  const Rewards equal = {0.3, 0.3, 0.3};
  EXPECT_NEAR(*advantages(equal, Advantage::mean_std)[0], 0, 1e-9);
}

TEST(AdvantagesTest, LeavesOneOut) {
  const Rewards rewards = {1.0, 2.0, 6.0};
  const Rewards values = advantages(rewards, Advantage::leave_one_out);
  EXPECT_DOUBLE_EQ(*values[0], -3);
  EXPECT_DOUBLE_EQ(*values[1], -1.5);
  EXPECT_DOUBLE_EQ(*values[2], 4.5);
  const Rewards alone = {1.0, std::nullopt};
  EXPECT_FALSE(advantages(alone, Advantage::leave_one_out)[0]);
}

TEST(AdvantagesTest, AreNamed) {
  EXPECT_EQ(*advantage_from_name("leave_one_out"), Advantage::leave_one_out);
  EXPECT_FALSE(advantage_from_name("rloo").ok());
}

}  // namespace
}  // namespace assay
