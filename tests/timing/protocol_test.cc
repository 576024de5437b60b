#include "evaluator/timing/protocol.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <set>

namespace assay {
namespace {

/// A device whose calls take given times, with noise, drift and a clock; no time passes.
class FakeStopwatch : public Stopwatch {
 public:
  double baseline_us = 50;
  double candidate_us = 50;
  double noise = 0.002;
  double drift_per_burst = 0;
  double frequency_mhz = 1980;
  double candidate_frequency_factor = 1;
  int ruler_disturbed_every = 0;  // so many rulers, one that takes 10 % more cycles; 0: none
  int disturbed_every = 0;        // so many candidate bursts, one at a lower clock; 0: none
  uint32_t memory_calls = 4096;
  std::optional<TimingViolation> violation;

  std::set<std::pair<Side, uint32_t>> seen;
  bool repeated_content = false;
  int verified = 0, verified_candidate_first = 0, final_checks = 0;
  std::map<Side, uint32_t> calls;

  Result<void> set_calls(Side side, uint32_t count) override {
    calls[side] = count;
    return {};
  }
  uint32_t max_calls() const override { return memory_calls; }
  Result<std::vector<std::string>> tensors(Side, uint32_t, uint32_t) override {
    return Error{ErrorKind::unsupported, "this stopwatch moves no data"};
  }
  Result<Burst> burst(Side side, uint32_t generation) override {
    repeated_content |= !seen.insert({side, generation}).second;
    const double call_us = side == Side::baseline    ? baseline_us
                           : side == Side::candidate ? candidate_us
                                                     : 1.5;
    const double factor = 1 + noise * normal_(random_) + drift_per_burst * bursts_++;
    double clock = side == Side::candidate ? candidate_frequency_factor : 1;
    if (side == Side::candidate && disturbed_every > 0 && bursts_ % disturbed_every == 0)
      clock *= 0.9;
    Burst burst;
    if (side == Side::ruler) {
      const bool disturbed = ruler_disturbed_every > 0 && ++rulers_ % ruler_disturbed_every == 0;
      burst.elapsed_ms = disturbed ? 0.044 : 0.04;
      burst.frequency_mhz = frequency_mhz;
      return burst;
    }
    burst.elapsed_ms = calls[side] * call_us * 1e-3 * factor;
    burst.frequency_mhz = frequency_mhz * clock;
    return burst;
  }
  Result<std::optional<TimingViolation>> verify(uint32_t, bool baseline_ran) override {
    ++verified;
    verified_candidate_first += baseline_ran;
    return violation;
  }
  Result<std::optional<TimingViolation>> final_check() override {
    ++final_checks;
    return std::optional<TimingViolation>();
  }
  void rest(double) override {}

 private:
  std::mt19937_64 random_{11};
  std::normal_distribution<double> normal_;
  int bursts_ = 0, rulers_ = 0;
};

TimingBudget quick(const char* name) {
  TimingBudget budget = *budget_from_name(name);
  budget.warm_up_min_ms = budget.warm_up_cap_ms = 0;  // the fake has no clock to settle
  return budget;
}

TEST(Measure, RejectsBlocksWhoseRulerWasDisturbed) {
  FakeStopwatch stopwatch;
  stopwatch.noise = 0.05;  // long enough for some rulers
  stopwatch.ruler_disturbed_every = 5;
  const auto report = measure(stopwatch, quick("benchmark"), 1);
  ASSERT_TRUE(report.ok());
  uint32_t rulers = 0, rejected = 0;
  for (const TimingSample& sample : report->samples) {
    rulers += sample.side == Side::ruler;
    rejected += sample.side == Side::candidate && !sample.accepted;
  }
  ASSERT_GE(rulers, 5u);
  EXPECT_EQ(rulers, (report->blocks + 7) / 8);
  EXPECT_GE(report->rejected_blocks, 8 * (rulers / 5) - 7);
  EXPECT_EQ(rejected, 2 * report->rejected_blocks);
  stopwatch.ruler_disturbed_every = 0;
  const auto quiet = measure(stopwatch, quick("benchmark"), 2);
  ASSERT_TRUE(quiet.ok());
  EXPECT_EQ(quiet->rejected_blocks, 0u);
}

TEST(Measure, FindsTheSpeedupWithinItsInterval) {
  FakeStopwatch stopwatch;
  stopwatch.baseline_us = 100;
  const auto report = measure(stopwatch, quick("benchmark"), 1);
  ASSERT_TRUE(report.ok());
  EXPECT_NEAR(report->speedup, 2, 0.02);
  EXPECT_LE(report->speedup_interval.low, 2);
  EXPECT_GE(report->speedup_interval.high, 2);
  EXPECT_EQ(report->stop_reason, "interval");
  EXPECT_EQ(report->verdict, "faster");
  EXPECT_NEAR(report->candidate.median_us, 50, 0.5);
  EXPECT_NEAR(report->empty_call_us, 1.5, 0.05);
}

TEST(Measure, ShowsNoContentTwiceToTheSameSide) {
  FakeStopwatch stopwatch;
  ASSERT_TRUE(measure(stopwatch, quick("benchmark"), 2).ok());
  EXPECT_FALSE(stopwatch.repeated_content);
}

TEST(Measure, AnIdenticalKernelIsCoveredByTheIntervalAlmostAlways) {
  int covered = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    FakeStopwatch stopwatch;
    stopwatch.noise = 0.004;
    for (uint32_t i = 0; i < seed; ++i) (void)stopwatch.burst(Side::empty, 1'000'000 + i).ok();
    const auto report = measure(stopwatch, quick("benchmark"), seed);
    covered += report->speedup_interval.low <= 1 && report->speedup_interval.high >= 1;
  }
  EXPECT_GE(covered, 54);
}

TEST(Measure, ALinearDriftCancels) {
  FakeStopwatch stopwatch;
  stopwatch.noise = 0;
  stopwatch.drift_per_burst = 1e-3;
  const auto report = measure(stopwatch, quick("benchmark"), 3);
  EXPECT_NEAR(report->speedup, 1, 1e-3);
}

TEST(Measure, ChoosesCallsSoThatABurstMeetsTheTarget) {
  FakeStopwatch stopwatch;
  stopwatch.baseline_us = stopwatch.candidate_us = 10;
  const auto report = measure(stopwatch, quick("benchmark"), 4);
  EXPECT_NEAR(report->candidate.calls, 250, 5);
  stopwatch.memory_calls = 40;
  const auto limited = measure(stopwatch, quick("benchmark"), 4);
  EXPECT_EQ(limited->candidate.calls, 40u);
}

TEST(Measure, SidesThatDifferMuchMakeDifferentNumbersOfCalls) {
  FakeStopwatch stopwatch;
  stopwatch.baseline_us = 1000;
  stopwatch.candidate_us = 10;
  const auto report = measure(stopwatch, quick("rl"), 5);
  EXPECT_LE(report->baseline.calls, 2u);
  EXPECT_GE(report->candidate.calls, 90u);
  EXPECT_NEAR(report->speedup, 100, 2);
}

TEST(Measure, StopsAtTheBudgetWithItsHonestInterval) {
  FakeStopwatch stopwatch;
  stopwatch.noise = 0.2;
  const auto report = measure(stopwatch, quick("rl"), 8);
  EXPECT_EQ(report->stop_reason, "budget");
  EXPECT_GT(report->speedup_interval.half_width(), 0.015);
  EXPECT_EQ(report->verdict, "unsure");
}

TEST(Measure, RecordsClocksThatAlwaysDiffer) {
  FakeStopwatch stopwatch;
  stopwatch.candidate_frequency_factor = 0.95;
  const auto report = measure(stopwatch, quick("benchmark"), 7);
  EXPECT_EQ(report->rejected_blocks, 0u);
  EXPECT_NEAR(report->clock_ratio, 0.95, 1e-9);
  EXPECT_NEAR(report->speedup, 1, 0.005);
}

TEST(Measure, RejectsDisturbedBlocks) {
  FakeStopwatch stopwatch;
  stopwatch.disturbed_every = 25;
  const auto report = measure(stopwatch, quick("benchmark"), 7);
  EXPECT_GT(report->rejected_blocks, 0u);
  EXPECT_LT(report->rejected_blocks, report->blocks);
  size_t rejected_samples = 0;
  for (const TimingSample& sample : report->samples) rejected_samples += !sample.accepted;
  EXPECT_EQ(rejected_samples, 4 * report->rejected_blocks);
  EXPECT_GT(report->speedup, 0);
}

TEST(Measure, OneRulerThatIsOffIsNoReasonToEnd) {
  FakeStopwatch stopwatch;
  stopwatch.noise = 1e-3;
  stopwatch.ruler_disturbed_every = 3;  // the third, whose blocks are a third of the first 24
  const auto report = measure(stopwatch, quick("benchmark"), 7);
  EXPECT_EQ(report->stop_reason, "interval");
  EXPECT_EQ(report->rejected_blocks, 8u);
  EXPECT_GT(report->speedup, 0);
}

TEST(Measure, SaysUnstableWhenTooManyBlocksAreDisturbed) {
  FakeStopwatch stopwatch;
  stopwatch.disturbed_every = 3;
  const auto report = measure(stopwatch, quick("benchmark"), 7);
  EXPECT_EQ(report->verdict, "unstable");
  EXPECT_EQ(report->speedup, 0);
}

TEST(Measure, AViolationEndsItAtOnce) {
  FakeStopwatch stopwatch;
  stopwatch.violation = TimingViolation{"mismatch", "slot 3"};
  const auto report = measure(stopwatch, quick("benchmark"), 8);
  ASSERT_TRUE(report->violation.has_value());
  EXPECT_EQ(report->stop_reason, "violation");
  EXPECT_EQ(stopwatch.verified, 1);
  EXPECT_EQ(report->speedup, 0);
}

TEST(Measure, RlVerifiesOnlyWhereTheCandidateRanFirst) {
  FakeStopwatch stopwatch;
  ASSERT_TRUE(measure(stopwatch, quick("rl"), 9).ok());
  EXPECT_EQ(stopwatch.verified, stopwatch.verified_candidate_first);
  EXPECT_GT(stopwatch.verified, 0);
  EXPECT_EQ(stopwatch.final_checks, 1);
}

TEST(Measure, BenchmarkVerifiesEveryCandidateBurst) {
  FakeStopwatch stopwatch;
  const auto report = measure(stopwatch, quick("benchmark"), 10);
  EXPECT_EQ(stopwatch.verified, static_cast<int>(2 * report->blocks));
}

}  // namespace
}  // namespace assay
