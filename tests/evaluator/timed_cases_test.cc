#include "evaluator/timed_cases.h"

#include <gtest/gtest.h>

#include <cmath>

namespace assay {
namespace {

TimingReport report(double speedup, double low, double high) {
  TimingReport made;
  made.speedup = speedup;
  made.speedup_interval = {low, high};
  return made;
}

TEST(CombinedSpeedup, OfOneProcessIsItsOwn) {
  const Speedup speedup = combined_speedup({report(2, 1.9, 2.1)});
  EXPECT_DOUBLE_EQ(speedup.value, 2);
  EXPECT_DOUBLE_EQ(speedup.interval.low, 1.9);
  EXPECT_DOUBLE_EQ(speedup.interval.high, 2.1);
}

TEST(CombinedSpeedup, OfSeveralIsTheMeanOfLogsWithStudentsInterval) {
  const Speedup speedup = combined_speedup({report(1, 1, 1), report(2, 2, 2), report(4, 4, 4)});
  EXPECT_NEAR(speedup.value, 2, 1e-12);
  // Standard deviation of the logs is ln 2; t with two degrees of freedom is 4.303.
  const double half = 4.303 * std::log(2) / std::sqrt(3);
  EXPECT_NEAR(speedup.interval.low, 2 * std::exp(-half), 1e-3);
  EXPECT_NEAR(speedup.interval.high, 2 * std::exp(half), 1e-1);
}

TEST(CombinedSpeedup, IsNeverNarrowerThanWhatTheProcessesSay) {
  const Speedup speedup = combined_speedup({report(2, 1, 4), report(2, 1, 4), report(2, 1, 4)});
  EXPECT_NEAR(speedup.value, 2, 1e-12);
  EXPECT_LE(speedup.interval.low, 1 + 1e-9);
  EXPECT_GE(speedup.interval.high, 4 - 1e-9);
}

TEST(CombinedSpeedup, IsNoneWhereAProcessCouldNotTell) {
  EXPECT_EQ(combined_speedup({report(2, 1.9, 2.1), report(0, 0, 0)}).value, 0);
}

class PhysicsTest : public ::testing::Test {
 protected:
  PhysicsTest() {
    bound_.bytes = 480e6;  // 100 us at 4.8 TB/s
    report_.empty_call_us = 1;
    burst(20, 100);
  }

  /// One burst of the candidate: `calls` calls of `call_us` each.
  void burst(uint32_t calls, double call_us) {
    TimingSample sample;
    sample.side = Side::candidate;
    sample.calls = calls;
    sample.elapsed_ms = calls * call_us * 1e-3;
    report_.samples.push_back(sample);
    report_.candidate.median_us = report_.candidate.min_us = call_us;
  }

  std::optional<TimingViolation> violation() const {
    return physics_violation(report_, bound_, *datasheet("NVIDIA H200"));
  }

  BoundCase bound_;
  TimingReport report_;
};

TEST_F(PhysicsTest, TheDataSheetsTimeIsPossible) {
  EXPECT_FALSE(violation());
  burst(20, 95);  // what two caches hold may not have come from memory
  EXPECT_FALSE(violation());
}

TEST_F(PhysicsTest, OneBurstThatIsTooFastIsEnough) {
  burst(20, 60);
  burst(20, 100);
  const auto found = violation();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reason, "physics");
  EXPECT_EQ(outcome_of_violation(found->reason), Outcome::tampered);
}

TEST_F(PhysicsTest, ArithmeticHasTheFastestUnitsFloor) {
  bound_.bytes = 0;
  bound_.flops = 6.7e9;  // 100 us at the 67 Tflop/s of f32, which tensor cores can undercut
  EXPECT_FALSE(violation());
  bound_.flops = 197.9e9;  // 100 us at 1979 Tflop/s
  EXPECT_FALSE(violation());
  burst(20, 50);
  EXPECT_TRUE(violation());
}

TEST_F(PhysicsTest, NoCallIsFasterThanAnEmptyOne) {
  bound_.bytes = 8;
  report_.empty_call_us = 5;
  burst(20, 2);
  ASSERT_TRUE(violation());
  EXPECT_EQ(violation()->reason, "physics");
}

TEST(OutcomeOfViolation, TellsTamperingFromErrors) {
  EXPECT_EQ(outcome_of_violation("input_changed"), Outcome::tampered);
  EXPECT_EQ(outcome_of_violation("red_zone"), Outcome::tampered);
  EXPECT_EQ(outcome_of_violation("early_write"), Outcome::tampered);
  EXPECT_EQ(outcome_of_violation("late_write"), Outcome::tampered);
  EXPECT_EQ(outcome_of_violation("kernel_time"), Outcome::timeout);
  EXPECT_EQ(outcome_of_violation("illegal_address"), Outcome::runtime_fault);
  EXPECT_EQ(outcome_of_violation("launch_limits"), Outcome::launch_error);
}

}  // namespace
}  // namespace assay
