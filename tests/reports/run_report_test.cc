#include "reports/run_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "reports/export_rl.h"
#include "reports/run_page.h"
#include "tests/reports/samples.h"

namespace assay {
namespace {

const RateAtK& fast(const ReportRow& row, double p, int k) {
  for (const RateAtK& rate : row.fast)
    if (rate.p == p && rate.k == k) return rate;
  static const RateAtK none;
  return none;
}

TEST(RunReportTest, AveragesUnbiasedRatesOverTasks) {
  const auto rows =
      report_rows(data_of({sample("a", Outcome::correct, 2), sample("a", Outcome::correct, 1),
                           sample("a", Outcome::wrong_output), sample("b", Outcome::correct, 0.5),
                           sample("b", Outcome::timeout), sample("b", Outcome::no_code)}),
                  {1, 2, 5});
  const ReportRow& row = rows[0];
  EXPECT_EQ(row.samples, 6);
  EXPECT_NEAR(*row.pass[0].value, (2.0 / 3 + 1.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(*row.pass[1].value, (1 + 2.0 / 3) / 2,
              1e-12);               // 1 - C(1,2)/C(3,2), 1 - C(2,2)/C(3,2)
  EXPECT_FALSE(row.pass[2].value);  // three samples are not five
  EXPECT_NEAR(*fast(row, 1, 1).value, (1.0 / 3 + 0) / 2, 1e-12);    // strictly above 1
  EXPECT_NEAR(*fast(row, 0.5, 1).value, (2.0 / 3 + 0) / 2, 1e-12);  // 0.5 is not above 0.5
  EXPECT_NEAR(*fast(row, 0, 1).value, *row.pass[0].value, 1e-12);
  EXPECT_NEAR(row.gmean_correct->value, std::sqrt(std::sqrt(2.0) * 0.5), 1e-12);
  EXPECT_NEAR(row.median->value, (std::sqrt(2.0) + 0.5) / 2, 1e-12);
  EXPECT_NEAR(row.pass[0].standard_error, (2.0 / 3 - 1.0 / 3) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(*row.cost_dollars, 3);
}

TEST(RunReportTest, ScoresRunFromTheNaiveKernelToTheExperts) {
  const auto scored = [](double speedup, double expert) {
    ReportSample made = sample("a", Outcome::correct, speedup);
    made.speed->over_expert = speedup / expert;
    return made;
  };
  // Worth 0.5, 1 and, failed, 0; then a task whose sample was correct but not timed.
  const auto rows = report_rows(data_of({scored(2, 4), scored(4, 4), sample("a", Outcome::timeout),
                                         sample("b", Outcome::correct)}),
                                {1, 2, 3, 4});
  EXPECT_NEAR(*rows[0].score[0].value, 0.5, 1e-12);
  EXPECT_NEAR(*rows[0].score[1].value, (0.5 + 1 + 1) / 3, 1e-12);
  EXPECT_NEAR(*rows[0].score[2].value, 1, 1e-12);
  EXPECT_FALSE(rows[0].score[3].value);
  EXPECT_NEAR(*rows[0].score_with_replacement[1].value, (0.5 * 3 + 1 * 5) / 9, 1e-12);
  EXPECT_EQ(rows[0].score[0].tasks, 1);
  EXPECT_FALSE(report_rows(data_of({sample("a", Outcome::timeout)}), {1})[0].score[0].value);
}

TEST(RunReportTest, TroubleIsInNoRateAndUnknownCostIsUnknown) {
  ReportSample failed = sample("a", Outcome::harness_error);
  failed.result.state = SampleState::failed;
  ReportSample running = sample("a", Outcome::harness_error);
  running.result.state = SampleState::running;
  running.result.cost_dollars.reset();
  const auto rows = report_rows(data_of({sample("a", Outcome::correct), failed, running}), {1});
  EXPECT_EQ(rows[0].samples, 1);
  EXPECT_EQ(rows[0].failed, 1);
  EXPECT_EQ(rows[0].unfinished, 1);
  EXPECT_EQ(*rows[0].pass[0].value, 1);
  EXPECT_FALSE(rows[0].cost_dollars);
}

TEST(RunReportTest, SaysHowAnAnswerEndedThatDidNotEndByItself) {
  ReportSample refused = sample("a", Outcome::no_code);
  refused.result.reason = "empty";
  refused.result.finish = "refusal";
  EXPECT_EQ(refused.reason(), "empty, answer ended by refusal");
  refused.result.finish = "stop";
  EXPECT_EQ(refused.reason(), "empty");
  refused.result.state = SampleState::failed;
  refused.result.failure_class = "infra";
  EXPECT_EQ(refused.reason(), "infra");
}

TEST(RunReportTest, NotMeasuredIsNeitherZeroNorOne) {
  const auto rows = report_rows(
      data_of({sample("a", Outcome::correct), sample("b", Outcome::wrong_output)}), {1});
  EXPECT_FALSE(fast(rows[0], 1, 1).value);
  EXPECT_EQ(*fast(rows[0], 0, 1).value, 0.5);
  EXPECT_FALSE(rows[0].gmean_correct);
  EXPECT_FALSE(rows[0].gmean_all);
}

TEST(RunReportTest, GmeanAllCountsFailedTasksAsTheBaseline) {
  const auto rows = report_rows(
      data_of({sample("a", Outcome::correct, 4), sample("b", Outcome::wrong_output)}), {1});
  EXPECT_NEAR(rows[0].gmean_correct->value, 4, 1e-12);
  EXPECT_NEAR(rows[0].gmean_all->value, 2, 1e-12);
}

TEST(RunReportTest, WritesEveryFormat) {
  ReportData data = data_of({sample("a", Outcome::correct, 2)});
  data.runs[0].label = "=evil|\"agent\"";
  const auto rows = report_rows(data, {1});
  const auto json =
      nlohmann::json::parse(report_text(data, rows, ReportFormat::json, 0), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["rows"][0]["pass_at_k"][0]["value"], 1.0);
  const std::string csv = report_text(data, rows, ReportFormat::csv, 0);
  EXPECT_NE(csv.find("\n\"'=evil|\"\"agent\"\"\",all,1,1,0,0,pass@k,1,0,1,"), std::string::npos)
      << csv;
  EXPECT_NE(report_text(data, rows, ReportFormat::markdown, 0).find("=evil\\|"), std::string::npos);
  EXPECT_NE(report_text(data, rows, ReportFormat::text, 0).find("pass@1 %"), std::string::npos);
}

TEST(RunReportTest, NamesTheLanguageInAColumnWhereThereAreTwo) {
  ReportData data = data_of({sample("a", Outcome::correct)});
  EXPECT_EQ(report_table(report_rows(data, {1})).header[1], "level");
  data.runs.push_back(data.runs[0]);
  data.runs[1].run.settings = R"({"language": "triton"})";
  const std::vector<ReportRow> rows = report_rows(data, {1});
  const ReportTable table = report_table(rows);
  EXPECT_EQ(table.header[1], "language");
  EXPECT_EQ(table.rows[0][1], "cuda");  // of a run from before there was a choice
  EXPECT_EQ(table.rows[1][1], "triton");
  const auto json = nlohmann::json::parse(report_text(data, rows, ReportFormat::json, 0));
  EXPECT_EQ(json["runs"][1]["language"], "triton");
  EXPECT_EQ(json["rows"][1]["language"], "triton");
  EXPECT_NE(report_text(data, rows, ReportFormat::csv, 0).find(",1,triton\n"), std::string::npos);
}

/// A run directory with one run: a fast, a plain, a wrong and a failed sample.
class RunPageTest : public testing::Test {
 protected:
  void SetUp() override {
    RunRow run;
    run.key = run.agent = "agent";
    run = *runs_.open_run(run);
    data_.runs.emplace_back().run = run;
    data_.runs[0].label = "agent";
    data_.runs[0].folder = (folder_.path() / "run").string();
    add(0, Outcome::correct, "</script><script>window.hacked = 1</script> // fast", 2.5);
    add(1, Outcome::correct, "// plain", 1.0);
    add(2, Outcome::wrong_output, "// wrong", std::nullopt);
    ReportSample failed = sample("task", Outcome::harness_error);
    failed.result.state = SampleState::failed;
    failed.result.number = 3;
    data_.runs[0].samples.push_back(failed);
  }

  void add(int number, Outcome outcome, const std::string& code, std::optional<double> speedup) {
    SampleRow row;
    row.run_id = data_.runs[0].run.id;
    row.task_id = "task";
    row.suite = "s";
    row.number = number;
    row = *runs_.open_sample(row);
    Evaluation evaluation;
    evaluation.task_id = "task";
    evaluation.outcome = outcome;
    evaluation.code = code;
    if (outcome != Outcome::correct)
      evaluation.diagnostics = {
          {Diagnostic::Severity::error, 3, 1, "<img src=x onerror=alert(1)>"}};
    EvaluationKey key;
    key.candidate = code;
    TurnRow turn;
    turn.sample_id = row.id;
    turn.kind = "draft";
    turn.prompt_digest =
        *store_->put_blob(R"({"system":"S","messages":[{"role":"user","content":"U"}]})");
    turn.answer_digest = *store_->put_blob("answer " + code);
    ASSERT_TRUE(runs_.add_turn(turn, {}).ok());
    turn.evaluation_id = *store_->add(key, evaluation, "{}");
    turn.outcome = name(outcome);
    ASSERT_TRUE(runs_.set_judged(turn).ok());
    row.state = SampleState::done;
    row.best_turn_id = turn.id;
    ASSERT_TRUE(runs_.update_sample(row).ok());
    ReportSample made = sample("task", outcome, speedup);
    made.result = runs_.results(row.run_id)->back();
    data_.runs[0].samples.push_back(made);
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("page");
  std::unique_ptr<Store> store_ = *Store::open(folder_.path() / "run");
  RunStore runs_{*store_};
  ReportData data_;
};

TEST_F(RunPageTest, IsOneFileThatCanBeClickedThrough) {
  PageOptions options;
  options.title = "A <b>title</b>";
  const auto page = run_page(data_, report_rows(data_, {1}), options);
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page->find("src=\""), std::string::npos);
  EXPECT_EQ(page->find("window.hacked = 1</script>"), std::string::npos);
  const auto file = folder_.path() / "report.html";
  ASSERT_TRUE(write_file(file, *page).ok());
  if (!std::filesystem::exists("/usr/share/javascript/chart.js/chart.min.js"))
    GTEST_SKIP() << "libjs-chart.js is not installed: the charts are not tested";
  std::string chromium;
  for (const char* path : {"/usr/bin/chromium", "/usr/bin/google-chrome"})
    if (chromium.empty() && std::filesystem::exists(path)) chromium = path;
  if (chromium.empty()) GTEST_SKIP() << "no chromium: the page was not clicked through";
  const std::string command = "timeout 100 python3 " ASSAY_SOURCE_DIR
                              "/tests/reports/click_report.py " +
                              chromium + " " + file.string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(RunPageTest, LeavesCodeOutBeforeItGrowsTooLarge) {
  PageOptions options;
  options.details_bytes = 50;
  const auto page = run_page(data_, report_rows(data_, {1}), options);
  ASSERT_TRUE(page.ok());
  EXPECT_NE(page->find("\"left_out\":3"), std::string::npos);
  EXPECT_NE(page->find("// fast"), std::string::npos);  // the fastest goes first
  EXPECT_EQ(page->find("// plain"), std::string::npos);
}

TEST_F(RunPageTest, ExportsRewardsAndMasksWhatIsNotKnown) {
  std::vector<nlohmann::json> lines;
  const auto keep = [&](const std::string& line) { lines.push_back(nlohmann::json::parse(line)); };
  ExportOptions options;
  options.reward = "correct";
  ASSERT_EQ(*export_rl(*store_, runs_, options, keep), 3);
  EXPECT_EQ(lines[0]["reward"], 1.0);
  EXPECT_EQ(lines[2]["reward"], 0.0);
  EXPECT_EQ(lines[0]["prompt"][0]["role"], "system");
  EXPECT_EQ(lines[0]["completion"], "answer </script><script>window.hacked = 1</script> // fast");
  lines.clear();
  options.reward = "kevin32b";
  options.format = "chat";
  ASSERT_TRUE(export_rl(*store_, runs_, options, keep).ok());
  EXPECT_TRUE(lines[0]["reward"].is_null());  // correct, but its speed was not measured
  EXPECT_EQ(lines[2]["reward"], 0.0);
  EXPECT_EQ(lines[0]["completion"][0]["role"], "assistant");
  options.format = "csv";
  EXPECT_FALSE(export_rl(*store_, runs_, options, keep).ok());
  options.format = "assay";
  options.reward = "kevn32b";
  EXPECT_FALSE(export_rl(*store_, runs_, options, keep).ok());
}

}  // namespace
}  // namespace assay
