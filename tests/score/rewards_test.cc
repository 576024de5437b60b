#include "evaluator/score/rewards.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "evaluator/score/custom_reward.h"

namespace assay {
namespace {

RewardFacts wrong(int passed = 0, int total = 4) {
  RewardFacts facts;
  facts.outcome = Outcome::wrong_output;
  facts.compiled = true;
  facts.tests_passed = passed;
  facts.tests_total = total;
  return facts;
}

RewardFacts failed(Outcome outcome, bool compiled) {
  RewardFacts facts;
  facts.outcome = outcome;
  facts.compiled = compiled;
  return facts;
}

RewardFacts right(double speedup = 0, double low = 0, double high = 0) {
  RewardFacts facts = wrong(4);
  facts.outcome = Outcome::correct;
  facts.timed = speedup > 0;
  facts.speedup = speedup;
  facts.interval = {low > 0 ? low : speedup, high > 0 ? high : speedup};
  return facts;
}

double value(const std::string& name, const RewardFacts& facts) {
  return find_reward(name)->reward(facts)->total();
}

// Worked by hand from the table of formulas.
TEST(RewardsTest, GiveThePublishedNumbers) {
  EXPECT_DOUBLE_EQ(value("kevin32b", right(1.53)), 1.83);
  EXPECT_DOUBLE_EQ(value("kevin32b", wrong(3)), 0);
  EXPECT_DOUBLE_EQ(value("cuda_l1", right(2.5)), 2.5);
  EXPECT_DOUBLE_EQ(value("cuda_agent", wrong()), -1);
  EXPECT_DOUBLE_EQ(value("cuda_agent", right(1.05)), 1);
  EXPECT_DOUBLE_EQ(value("cuda_agent", right(1.06)), 2);
  RewardFacts best = right(9);
  best.over_expert = 1.06;
  EXPECT_DOUBLE_EQ(value("cuda_agent", best), 3);
  EXPECT_DOUBLE_EQ(value("drkernel_speedup", right(2)), 0.5 + 1 + 0.5);
  EXPECT_DOUBLE_EQ(value("drkernel_speedup", right(7)), 0.5 + 1.5 + 0.5);
  EXPECT_DOUBLE_EQ(value("drkernel_weighted", right(1.009)), 0.5);
  EXPECT_DOUBLE_EQ(value("drkernel_weighted", right(1.01)), 1);
  EXPECT_DOUBLE_EQ(value("tritonforge_train", wrong()), 0.1);
  EXPECT_DOUBLE_EQ(value("tritonforge_train", right(0.5)), 0.3);
  EXPECT_DOUBLE_EQ(value("tritonforge_train", right(9)), 2.3);
  EXPECT_DOUBLE_EQ(value("tritonforge_eval", right(9)), 3);
  EXPECT_DOUBLE_EQ(value("tritonrl", right(2)), 0.9 + 0.2);
  EXPECT_DOUBLE_EQ(value("kernrl", failed(Outcome::compile_error, false)), -0.5);
  EXPECT_DOUBLE_EQ(value("kernrl", wrong()), -0.25);
  EXPECT_DOUBLE_EQ(value("kernrl", right(0.4)), -0.3);
  EXPECT_DOUBLE_EQ(value("kernrl", right(1.5)), 0.5);
  EXPECT_DOUBLE_EQ(value("kernrl", right(8)), 2);
  EXPECT_DOUBLE_EQ(value("kernrl", right()), 0);
  EXPECT_DOUBLE_EQ(value("kbtinker_doc", failed(Outcome::no_code, false)), -2);
  EXPECT_DOUBLE_EQ(value("kbtinker_doc", failed(Outcome::compile_error, false)), -1);
  EXPECT_DOUBLE_EQ(value("kbtinker_doc", right(50)), 10.3);
  EXPECT_DOUBLE_EQ(value("kbtinker_code", wrong(2)), 0.15);
  EXPECT_DOUBLE_EQ(value("kbtinker_code", right()), 0.3);
  EXPECT_DOUBLE_EQ(value("agentkernelarena", wrong()), 20);
  EXPECT_DOUBLE_EQ(value("agentkernelarena", right(2.5)), 370);
  EXPECT_DOUBLE_EQ(value("kguard", failed(Outcome::tampered, true)), -2);
  EXPECT_DOUBLE_EQ(value("autotriton", right()), 0);  // right, but CUDA C++
  RewardFacts triton = right();
  triton.triton = true;
  EXPECT_DOUBLE_EQ(value("autotriton", triton), 1);
}

TEST(RewardsTest, TiersChangeAtTheirEdges) {
  const std::pair<double, double> tiers[] = {{0.99, -0.1}, {1.0, 0.2}, {1.19, 0.2}, {1.2, 0.4},
                                             {1.5, 0.6},   {2.0, 0.8}, {2.99, 0.8}, {3.0, 1.0}};
  for (const auto& [speedup, tier] : tiers)
    EXPECT_DOUBLE_EQ(value("drkernel_tiers", right(speedup)), tier) << speedup;
  EXPECT_DOUBLE_EQ(value("drkernel_tiers", failed(Outcome::tampered, true)), -1);
  EXPECT_DOUBLE_EQ(value("drkernel_tiers", failed(Outcome::compile_error, false)), -0.5);
  EXPECT_DOUBLE_EQ(value("drkernel_tiers", wrong()), -0.3);
}

TEST(RewardsTest, FormulasOfLimitsNeedTheLimits) {
  EXPECT_FALSE(find_reward("sol")->reward(right(2)));
  EXPECT_FALSE(find_reward("peak_fraction")->reward(right(2)));
  EXPECT_FALSE(find_reward("flashinfer_mean")->reward(right(2)));
  RewardFacts facts = right(2);
  facts.sol = 0.75;
  facts.speed_of_light = 0.4;
  facts.over_expert = 0.9;
  EXPECT_DOUBLE_EQ(value("sol", facts), 0.75);
  EXPECT_DOUBLE_EQ(value("peak_fraction", facts), 0.4);
  EXPECT_DOUBLE_EQ(value("flashinfer_mean", facts), 0.9);
}

TEST(RewardsTest, TroubleOfOursIsNeverANumber) {
  for (const RewardFormula& formula : reward_formulas())
    EXPECT_FALSE(formula.reward(failed(Outcome::harness_error, true))) << formula.id();
}

TEST(RewardsTest, NotMeasuredIsNeverANumberWhereAFormulaNeedsOne) {
  for (const RewardFormula& formula : reward_formulas()) {
    EXPECT_EQ(formula.reward(right()).has_value(), !formula.needs_timing) << formula.id();
    EXPECT_TRUE(formula.reward(wrong())) << formula.id();  // a wrong candidate has its reward
  }
}

TEST(RewardsTest, EveryFormulaSaysWhatItIsAndKeepsItsComponents) {
  for (const RewardFormula& formula : reward_formulas()) {
    EXPECT_FALSE(formula.about.empty() || formula.source.empty()) << formula.id();
    std::vector<std::string> names;
    for (const RewardFacts& facts : {wrong(), right(2), failed(Outcome::no_code, false)}) {
      const auto reward = formula.reward(facts);
      if (!reward) continue;  // limits that are not known here
      std::vector<std::string> now;
      for (const auto& [name, number] : reward->components) now.push_back(name);
      if (names.empty()) names = now;
      EXPECT_EQ(now, names) << formula.id();  // trainers look up the first sample's keys in all
    }
  }
}

TEST(RewardsTest, AreFoundByNameAndVersion) {
  EXPECT_EQ(find_reward("kevin32b")->id(), "kevin32b@1");
  EXPECT_EQ(find_reward("kevin32b@1")->id(), "kevin32b@1");
  EXPECT_FALSE(find_reward("kevin32b@2").ok());
  const auto missing = find_reward("kevin32");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("did you mean"), std::string::npos);
}

TEST(AssayV1Test, GivesTheNumbersOfItsDescription) {
  const double edge = std::log(16.0) - 0.02;
  EXPECT_DOUBLE_EQ(value("assay-v1", failed(Outcome::no_code, false)), 0);
  EXPECT_DOUBLE_EQ(value("assay-v1", failed(Outcome::compile_error, false)), 0);
  EXPECT_DOUBLE_EQ(value("assay-v1", wrong(1)), 0.05 + 0.025);
  EXPECT_DOUBLE_EQ(value("assay-v1", failed(Outcome::tampered, true)), 0);
  EXPECT_DOUBLE_EQ(value("assay-v1", right()), 0.3);
  EXPECT_DOUBLE_EQ(value("assay-v1", right(4)), 0.3 + 0.6 * (std::log(4.0) - 0.02) / edge);
  EXPECT_DOUBLE_EQ(value("assay-v1", right(4, 2, 8)), 0.3 + 0.6 * (std::log(2.0) - 0.02) / edge);
  EXPECT_DOUBLE_EQ(value("assay-v1", right(16)), 0.9);
  EXPECT_DOUBLE_EQ(value("assay-v1", right(1.0 / 16)), 0.2);
}

TEST(AssayV1Test, NoiseEarnsNothing) {
  EXPECT_DOUBLE_EQ(value("assay-v1", right(1.3, 0.99, 1.7)), 0.3);  // the interval holds 1
  EXPECT_DOUBLE_EQ(value("assay-v1", right(1.019)), 0.3);           // inside the dead zone
  EXPECT_GT(value("assay-v1", right(1.03)), 0.3);
}

TEST(AssayV1Test, PassesTheCheckOfUsersFormulas) {
  const Result<void> checked = check_monotone(*find_reward("assay-v1"));
  EXPECT_TRUE(checked.ok()) << checked.error().message;
  // Known not to: see its description.
  EXPECT_FALSE(check_monotone(*find_reward("kernrl")).ok());
}

TEST(AssayV1Test, IsBoundedAndMonotoneForRandomFacts) {
  const RewardFormula formula = *find_reward("assay-v1");
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> logs(-8, 8), widths(0, 1);
  for (int i = 0; i < 20000; ++i) {
    const double slow = std::exp(logs(random)), fast = slow * std::exp(widths(random));
    const double width = 1 + widths(random);
    const double less = formula.reward(right(slow, slow / width, slow * width))->total();
    const double more = formula.reward(right(fast, fast / width, fast * width))->total();
    const double best_wrong = formula.reward(wrong(99, 100))->total();
    ASSERT_LE(less, more + 1e-12) << slow << " " << fast;
    ASSERT_LT(best_wrong, less);
    ASSERT_GE(less, 0);
    ASSERT_LE(more, 0.9 + 1e-12);
  }
}

}  // namespace
}  // namespace assay
