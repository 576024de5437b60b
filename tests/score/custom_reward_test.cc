#include "evaluator/score/custom_reward.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace assay {
namespace {

class CustomRewardTest : public testing::Test {
 protected:
  Result<RewardFormula> load(const std::string& text) {
    const auto path = folder_.path() / "mine.toml";
    EXPECT_TRUE(write_file(path, text).ok());
    return load_reward(path.string());
  }
  std::string complaint(const std::string& text) {
    const Result<RewardFormula> formula = load(text);
    return formula.ok() ? "it loaded" : formula.error().message;
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("assay-reward");
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

RewardFacts right(double speedup) {
  RewardFacts facts;
  facts.outcome = Outcome::correct;
  facts.compiled = facts.timed = true;
  facts.speedup = speedup;
  facts.interval = {speedup * 0.9, speedup * 1.1};
  return facts;
}

TEST_F(CustomRewardTest, SumsItsComponents) {
  const auto formula = load(R"(
name = "capped"
version = 3
needs_timing = true
[components]
correct = "0.3 * correct"
speed = "correct ? min(speedup_low, 3) : 0"
)");
  ASSERT_TRUE(formula.ok()) << formula.error().message;
  EXPECT_EQ(formula->id(), "capped@3");
  EXPECT_DOUBLE_EQ(formula->reward(right(2))->total(), 0.3 + 1.8);
  EXPECT_DOUBLE_EQ(formula->reward(right(20))->total(), 3.3);
  EXPECT_EQ(formula->reward(right(2))->components[1].first, "speed");
  RewardFacts untimed = right(2);
  untimed.timed = false;
  EXPECT_FALSE(formula->reward(untimed));
  untimed.outcome = Outcome::harness_error;
  EXPECT_FALSE(formula->reward(untimed));
}

TEST_F(CustomRewardTest, RefusesWhatIsNotMonotone) {
  const std::string head = "name = \"bad\"\nneeds_timing = true\n[components]\n";
  EXPECT_TRUE(holds(complaint(head + "a = \"correct * (speedup > 4 ? 1 : speedup + 1)\"\n"),
                    "is not monotone: a correct candidate with speedup"));
  EXPECT_TRUE(holds(complaint(head + "a = \"correct * (speedup - 1)\"\n"),
                    "correct must be worth more than wrong"));
  EXPECT_TRUE(
      holds(complaint(head + "a = \"correct + 0.5 * tampered\"\n"), "cheating must not pay"));
  EXPECT_TRUE(holds(complaint(head + "a = \"correct - correct_fraction\"\n"), "is not monotone"));
}

TEST_F(CustomRewardTest, RefusesAFormulaThatForgetsUntimedRuns) {
  EXPECT_TRUE(holds(complaint("name = \"bad\"\n[components]\na = \"correct * speedup\"\n"),
                    "set needs_timing = true"));
}

TEST_F(CustomRewardTest, NamesTheLineAndKeyOfWhatIsWrong) {
  EXPECT_TRUE(holds(complaint("name = \"x\"\n[components]\na = \"corect\"\n"),
                    "mine.toml:3: components: a: "))
      << complaint("name = \"x\"\n[components]\na = \"corect\"\n");
  EXPECT_TRUE(holds(complaint("[components]\na = \"correct\"\n"), "name"));
  EXPECT_TRUE(holds(complaint("name = \"x\"\nreward = 3\n[components]\na = \"correct\"\n"),
                    "mine.toml:2: "));
  EXPECT_TRUE(holds(complaint("name = \"x\"\n[components]\n"), "1 to 32 expressions"));
  EXPECT_TRUE(holds(complaint("name = \"x\"\nversion = 0\n[components]\na = \"correct\"\n"),
                    "must be 1 to 1000000"));
  EXPECT_TRUE(holds(complaint("name = \"x"), "is not TOML"));
  EXPECT_TRUE(holds(load_reward("/nowhere/x.toml").error().message, "/nowhere/x.toml"));
}

TEST_F(CustomRewardTest, RefusesAValueThatIsNotFinite) {
  EXPECT_TRUE(
      holds(complaint("name = \"x\"\n[components]\na = \"correct / (compiled + 0.0 * timed)\"\n"),
            "no finite value for an answer without code"));
}

}  // namespace
}  // namespace assay
