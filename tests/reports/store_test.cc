#include "reports/store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "base/files.h"
#include "reports/facts.h"
#include "reports/results.h"
#include "reports/reward_facts.h"

namespace assay {
namespace {

class StoreTest : public testing::Test {
 protected:
  TemporaryFolder folder_ = *TemporaryFolder::create("store-test");
  std::unique_ptr<Store> store_ = *Store::open(folder_.path() / "run");

  static EvaluationKey key(const std::string& candidate) {
    EvaluationKey key;
    key.task_digest = "t";
    key.source_digest = "s";
    key.candidate = candidate;
    key.device_id = "virtual";
    return key;
  }

  static Evaluation evaluation(const std::string& candidate, Outcome outcome) {
    Evaluation evaluation;
    evaluation.task_id = "vector-add";
    evaluation.candidate = candidate;
    evaluation.code = "// code of " + candidate;
    evaluation.outcome = outcome;
    evaluation.reason = outcome == Outcome::correct ? "" : "mismatch";
    evaluation.device_id = "virtual";
    evaluation.diagnostics = {{Diagnostic::Severity::warning, 3, 7, "unused variable"}};
    CaseResult result;
    result.name = "tiny";
    result.report.outcome = outcome;
    Comparison comparison;
    comparison.elements = 10;
    comparison.mismatches = 1;
    comparison.max_bound_ratio = 2.5;
    result.report.comparisons = {{"c", comparison}};
    LaunchStatistics launch;
    launch.lane_instructions = 1234;
    result.report.launches = {launch, launch};
    result.plan.emplace();
    result.plan->scratch_bytes = 4096;
    evaluation.kernels.emplace_back().name = "add";
    evaluation.kernels.back().registers = 32;
    evaluation.cases = {result};
    return evaluation;
  }
};

TEST_F(StoreTest, KeepsAnEvaluationWithItsCasesAndDiagnostics) {
  const auto id = store_->add(key("a"), evaluation("a", Outcome::wrong_output), "{}");
  ASSERT_TRUE(id.ok()) << id.error().message;
  const auto row = store_->find(*id);
  ASSERT_TRUE(row.ok() && row->has_value());
  EXPECT_EQ((*row)->outcome, Outcome::wrong_output);
  EXPECT_EQ((*row)->cases_total, 1);
  EXPECT_EQ((*row)->cases_correct, 0);
  EXPECT_EQ((*row)->lane_instructions, 2468u);
  EXPECT_DOUBLE_EQ((*row)->max_bound_ratio, 2.5);
  EXPECT_EQ(store_->cases(*id)->at(0).plan->scratch_bytes, 4096u);
  EXPECT_FALSE(store_->cases(*id)->at(0).kernels_needed);
  EXPECT_EQ(store_->kernels(*id)->at(0).registers, 32u);
  EXPECT_EQ(*store_->blob((*row)->source_digest), "// code of a");
  const auto json = result_json(*store_, **row);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["cases"][0]["lane_instructions"], 2468);
  EXPECT_EQ((*json)["diagnostics"][0]["line"], 3);
}

TEST_F(StoreTest, KeepsWhetherKernelsWereNeeded) {
  for (const bool needed : {false, true}) {
    Evaluation written = evaluation("a", Outcome::correct);
    written.cases.at(0).kernels_needed = needed;
    const auto id = store_->add(key(needed ? "a" : "b"), written, "{}");
    ASSERT_TRUE(id.ok()) << id.error().message;
    EXPECT_EQ(store_->cases(*id)->at(0).kernels_needed, needed);
    EXPECT_EQ((*result_json(*store_, **store_->find(*id)))["cases"][0]["kernels_needed"], needed);
  }
}

TEST_F(StoreTest, KeepsTheLanguageAndHandsItToTheRewards) {
  Evaluation written = evaluation("a", Outcome::correct);
  const auto cuda = store_->add(key("a"), written, "{}");
  written.language = Language::triton;
  const auto triton = store_->add(key("b"), written, "{}");
  ASSERT_TRUE(cuda.ok() && triton.ok());
  EXPECT_EQ((*store_->find(*cuda))->language, "cuda");
  EXPECT_EQ((*store_->find(*triton))->language, "triton");
  EXPECT_EQ((*result_json(*store_, **store_->find(*triton)))["language"], "triton");
  const auto rows = store_->evaluations();
  EXPECT_NE(results_table(*rows, 0).find("triton"), std::string::npos);
  EXPECT_EQ(results_table({rows->back()}, 0).find("triton"), std::string::npos);
  const auto facts = reward_facts(*store_);
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  EXPECT_FALSE(facts->at(*cuda).triton);
  EXPECT_TRUE(facts->at(*triton).triton);
}

TEST_F(StoreTest, AVerdictOnWhatWasAskedForInALanguageIsNoneOnWhatMayBeInEither) {
  EvaluateOptions asked;
  asked.language = Language::triton;
  EXPECT_NE(options_text(asked), options_text({}));
}

TEST_F(StoreTest, FindsWhatIsDoneByItsKeyAfterReopening) {
  ASSERT_TRUE(store_->add(key("a"), evaluation("a", Outcome::correct), "{}").ok());
  store_.reset();
  store_ = *Store::open(folder_.path() / "run");
  EXPECT_TRUE(store_->find(key("a"))->has_value());
  EXPECT_FALSE(store_->find(key("b"))->has_value());
}

TEST_F(StoreTest, AHarnessErrorIsNotDoneAndIsReplaced) {
  ASSERT_TRUE(store_->add(key("a"), evaluation("a", Outcome::harness_error), "{}").ok());
  EXPECT_FALSE(store_->find(key("a"))->has_value());
  ASSERT_TRUE(store_->add(key("a"), evaluation("a", Outcome::correct), "{}").ok());
  const auto rows = store_->evaluations();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().outcome, Outcome::correct);
}

TEST_F(StoreTest, RefusesAStoreOfANewerSchema) {
  store_.reset();
  sqlite3* database = nullptr;
  const auto file = folder_.path() / "run" / "results.sqlite";
  ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version = 999", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  const auto reopened = Store::open(folder_.path() / "run");
  ASSERT_FALSE(reopened.ok());
  EXPECT_NE(reopened.error().message.find("newer assay"), std::string::npos);
}

TEST_F(StoreTest, SaysWhichFolderCannotBeCreated) {
  ASSERT_TRUE(write_file(folder_.path() / "file", "x").ok());
  const auto store = Store::open(folder_.path() / "file" / "run");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().kind, ErrorKind::io);
  EXPECT_NE(store.error().message.find("file/run"), std::string::npos);
}

TEST_F(StoreTest, RefusesABlobNameThatIsNoDigest) {
  EXPECT_FALSE(store_->blob("../../../etc/passwd").ok());
}

}  // namespace
}  // namespace assay
