#include "reports/retest.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/reports/samples.h"

namespace assay {
namespace {

ReportSample candidate(int64_t id, double speedup, double half_width) {
  ReportSample made = sample("task", Outcome::correct, speedup);
  made.result.evaluation_id = id;
  made.speed->interval = {speedup - half_width, speedup + half_width};
  return made;
}

std::vector<int64_t> ids(const std::vector<Winner>& chosen) {
  std::vector<int64_t> numbers;
  for (const Winner& winner : chosen) numbers.push_back(winner.evaluation_id);
  return numbers;
}

TEST(RetestTest, ChoosesTheFastestAndWhatCannotBeToldFromThem) {
  const ReportData data =
      data_of({candidate(1, 2.0, 0.1), candidate(2, 1.95, 0.1), candidate(3, 1.5, 0.1),
               candidate(4, 1.9, 0.05), candidate(2, 1.95, 0.1), sample("task", Outcome::correct),
               sample("other", Outcome::wrong_output)});
  EXPECT_EQ(ids(winners(data.runs[0], {1, 10})), (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(ids(winners(data.runs[0], {4, 10})), (std::vector<int64_t>{1, 2, 4, 3}));
  EXPECT_EQ(ids(winners(data.runs[0], {1, 2})), (std::vector<int64_t>{1, 2}));
}

TEST(RetestTest, ChoosesByTheFirstMeasurementAlsoAfterwards) {
  ReportSample lucky = candidate(1, 1.1, 0.01), other = candidate(2, 1.5, 0.01);
  lucky.first_speed = Speed{2.0, {1.99, 2.01}, {}, {}, {}};
  lucky.result.retest_id = 7;
  const auto chosen = winners(data_of({lucky, other}).runs[0], {1, 10});
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].evaluation_id, 1);
  EXPECT_EQ(chosen[0].retest_id, 7);
}

TEST(RetestTest, ReportsSayHowMuchFasterTheFirstMeasurementWas) {
  ReportSample lucky = candidate(1, 2.0, 0.1);
  lucky.first_speed = lucky.speed;
  lucky.first_speed->speedup = 2.2;
  const auto rows = report_rows(data_of({lucky, candidate(2, 1.0, 0.1)}), {1});
  EXPECT_NEAR(rows[0].shrinkage->value, 1.1, 1e-12);
  EXPECT_NEAR(rows[0].best_retested->value, 2.0, 1e-12);
  EXPECT_EQ(rows[0].best_retested->count, 1);
}

/// A run directory with one correct sample that was timed at 2.0x.
class RetestStoreTest : public testing::Test {
 protected:
  int64_t add_evaluation(const std::string& key_name, Outcome outcome, double speedup) {
    Evaluation evaluation;
    evaluation.task_id = "task";
    evaluation.code = "// code";
    evaluation.outcome = outcome;
    evaluation.explanation = key_name;
    CaseResult& timed = evaluation.cases.emplace_back();
    timed.name = "timed";
    timed.report.outcome = outcome;
    if (outcome == Outcome::correct) {
      timed.timing.emplace();
      timed.timing->speedup = {speedup, {speedup * 0.99, speedup * 1.01}};
    }
    EvaluationKey key;
    key.options = key_name;
    return *store_->add(key, evaluation, "{}");
  }

  void SetUp() override {
    RunRow run;
    run.key = run.agent = "agent";
    run = *runs_.open_run(run);
    SampleRow row;
    row.run_id = run.id;
    row.task_id = "task";
    row = *runs_.open_sample(row);
    first_ = add_evaluation("first", Outcome::correct, 2.0);
    TurnRow turn;
    turn.sample_id = row.id;
    ASSERT_TRUE(runs_.add_turn(turn, {}).ok());
    turn.evaluation_id = first_;
    turn.outcome = "correct";
    ASSERT_TRUE(runs_.set_judged(turn).ok());
    row.state = SampleState::done;
    row.best_turn_id = turn.id;
    ASSERT_TRUE(runs_.update_sample(row).ok());
  }

  ReportSample read_sample() { return load_report({folder_.path() / "run"})->runs[0].samples[0]; }

  TemporaryFolder folder_ = *TemporaryFolder::create("retest");
  std::unique_ptr<Store> store_ = *Store::open(folder_.path() / "run");
  RunStore runs_{*store_};
  int64_t first_ = 0;
};

TEST_F(RetestStoreTest, OnlyTheSecondMeasurementIsReported) {
  EXPECT_NEAR(read_sample().speed->speedup, 2.0, 1e-9);
  EXPECT_FALSE(read_sample().first_speed);
  ASSERT_TRUE(runs_.set_retest(first_, add_evaluation("again", Outcome::correct, 1.8)).ok());
  EXPECT_NEAR(read_sample().speed->speedup, 1.8, 1e-9);
  EXPECT_NEAR(read_sample().first_speed->speedup, 2.0, 1e-9);
  EXPECT_EQ(winners(load_report({folder_.path() / "run"})->runs[0], {}).size(), 1u);
}

TEST_F(RetestStoreTest, AWinnerThatFailsTheSecondTimeIsNoSuccess) {
  ASSERT_TRUE(runs_.set_retest(first_, add_evaluation("again", Outcome::wrong_output, 0)).ok());
  const ReportSample made = read_sample();
  EXPECT_EQ(made.result.outcome, Outcome::wrong_output);
  EXPECT_EQ(made.result.explanation, "again");
  EXPECT_FALSE(made.speed);
  EXPECT_EQ(*report_rows(*load_report({folder_.path() / "run"}), {1})[0].pass[0].value, 0);
}

}  // namespace
}  // namespace assay
