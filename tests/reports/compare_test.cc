#include "reports/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "reports/power.h"
#include "tests/reports/samples.h"

namespace assay {
namespace {

const PairedMeasure* measure(const RunComparison& comparison, const std::string& name) {
  for (const PairedMeasure& one : comparison.measures)
    if (one.name == name) return &one;
  return nullptr;
}

TEST(CompareTest, PairsByTask) {
  const ReportData a = data_of({sample("x", Outcome::correct, 2), sample("y", Outcome::correct, 4),
                                sample("only-a", Outcome::correct, 9)});
  const ReportData b =
      data_of({sample("x", Outcome::correct, 1), sample("y", Outcome::wrong_output)});
  const auto result = compare_runs(a.runs[0], b.runs[0]);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->tasks, 2);
  EXPECT_EQ(result->wins, 1);
  EXPECT_EQ(result->ties, 1);
  EXPECT_NEAR(measure(*result, "pass@1")->estimate.value, 0.5, 1e-12);
  EXPECT_NEAR(measure(*result, "pass@1")->estimate.standard_error, 0.5, 1e-12);
  const PairedMeasure* solved = measure(*result, "speed, where both are correct");
  EXPECT_EQ(solved->estimate.count, 1);
  EXPECT_NEAR(solved->estimate.value, 2, 1e-12);
  EXPECT_NEAR(measure(*result, "speed, failed tasks at 1.0x")->estimate.value, std::sqrt(8), 1e-12);
  EXPECT_FALSE(compare_runs(a.runs[0], data_of({sample("z", Outcome::correct)}).runs[0]).ok());
}

TEST(CompareTest, TheTasksOwnDifficultyIsNoneOfTheDifference) {
  // A is better by 0.5 on every task, however hard the task is.
  std::vector<ReportSample> a, b;
  for (int task = 0; task < 6; ++task)
    for (int number = 0; number < 4; ++number) {
      const auto verdict = [&](int correct) {
        return number < correct ? Outcome::correct : Outcome::wrong_output;
      };
      a.push_back(sample("task" + std::to_string(task), verdict(2 + task % 3)));
      b.push_back(sample("task" + std::to_string(task), verdict(task % 3)));
    }
  const auto result = compare_runs(data_of(a).runs[0], data_of(b).runs[0]);
  const PairedMeasure* pass = measure(*result, "pass@1");
  EXPECT_NEAR(pass->estimate.value, 0.5, 1e-12);
  EXPECT_NEAR(pass->estimate.standard_error, 0, 1e-12);
  EXPECT_NEAR(*pass->correlation, 1, 1e-12);
  EXPECT_EQ(result->wins, 6);
}

TEST(CompareTest, WithoutTimesThereAreNoSpeeds) {
  const ReportData a = data_of({sample("x", Outcome::correct), sample("y", Outcome::timeout)});
  const auto result = compare_runs(a.runs[0], a.runs[0]);
  ASSERT_EQ(result->measures.size(), 1u);
  EXPECT_EQ(result->measures[0].name, "pass@1");
}

TEST(PowerTest, FollowsTheFormula) {
  const Spread spread;
  // (1.960 + 0.842)^2 (1/12 + 2/6) / 0.05^2
  EXPECT_EQ(tasks_needed(spread, 1, 0.05, 0.8), 1309);
  EXPECT_LT(tasks_needed(spread, 100, 0.05, 0.8), 280);
  EXPECT_GT(tasks_needed(spread, 100, 0.05, 0.8),
            261);  // more samples never beat the tasks' scatter
  const int tasks = tasks_needed(spread, 4, 0.1, 0.9);
  EXPECT_LE(smallest_difference(spread, 4, tasks, 0.9), 0.1);
  EXPECT_GT(smallest_difference(spread, 4, tasks - 1, 0.9), 0.1);
}

/// Two agents on tasks whose rates are even from 0.1 to 0.7 for b and 0.2 higher for a.
std::pair<ReportData, ReportData> simulated(int tasks, int samples, std::mt19937_64& generator) {
  std::vector<ReportSample> a, b;
  const auto draw = [&] { return static_cast<double>(generator() >> 11) * 0x1p-53; };
  for (int task = 0; task < tasks; ++task) {
    const double rate = 0.1 + 0.6 * draw();
    for (int number = 0; number < samples; ++number) {
      const std::string id = "task" + std::to_string(task);
      a.push_back(sample(id, draw() < rate + 0.2 ? Outcome::correct : Outcome::wrong_output));
      b.push_back(sample(id, draw() < rate ? Outcome::correct : Outcome::wrong_output));
    }
  }
  return {data_of(a), data_of(b)};
}

TEST(PowerTest, ThePlanKeepsItsPromise) {
  std::mt19937_64 generator(7);
  const auto [pilot_a, pilot_b] = simulated(2000, 4, generator);
  const auto spread = spread_of(pilot_a.runs[0], &pilot_b.runs[0]);
  ASSERT_TRUE(spread.ok()) << spread.error().message;
  EXPECT_NEAR(spread->between, 0, 0.01);  // the true difference is the same everywhere
  EXPECT_NEAR(spread->within_a, 0.22, 0.02);
  const int tasks = tasks_needed(*spread, 2, 0.2, 0.8);
  int found = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const auto [a, b] = simulated(tasks, 2, generator);
    const auto result = compare_runs(a.runs[0], b.runs[0]);
    if (result->measures[0].estimate.interval.low > 0) ++found;
  }
  EXPECT_NEAR(found / 400.0, 0.8, 0.08);
}

TEST(PowerTest, OnePilotTakesTheOtherAgentForAlike) {
  std::mt19937_64 generator(11);
  const auto pilot = simulated(2000, 4, generator).second;
  const auto spread = spread_of(pilot.runs[0], nullptr);
  ASSERT_TRUE(spread.ok());
  EXPECT_NEAR(spread->between, 0.36 / 12, 0.005);  // of rates even from 0.1 to 0.7
  EXPECT_DOUBLE_EQ(spread->within_a, spread->within_b);
  EXPECT_FALSE(spread_of(data_of({sample("a", Outcome::correct)}).runs[0], nullptr).ok());
}

}  // namespace
}  // namespace assay
