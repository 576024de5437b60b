// Every file of tests/candidates goes the whole way and must get exactly the outcome and reason
// that its header states.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "evaluator/evaluate.h"
#include "evaluator/skeleton.h"
#include "evaluator/triton/installation.h"
#include "tests/evaluator/known_candidate.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

class CandidatesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Evaluator::Options options;
    options.runners = static_cast<int>(std::max(2u, std::thread::hardware_concurrency()));
    options.threads_per_runner = 1;
    auto created = Evaluator::create(options);
    ASSERT_TRUE(created.ok()) << created.error().message;
    evaluator_ = std::move(*created).release();
    auto catalogue = load_catalogue();
    ASSERT_TRUE(catalogue.ok()) << catalogue.error().message;
    for (Task& task : catalogue->tasks) tasks_->emplace(task.id, task);
  }
  static void TearDownTestSuite() {
    delete evaluator_;
    evaluator_ = nullptr;
  }

  static EvaluateOptions options() {
    EvaluateOptions options;
    options.run.instruction_budget = 2'000'000'000;
    options.run.deadline_seconds = 20;
    return options;
  }

  static Evaluation evaluate(const std::string& task, const std::string& source,
                             const std::string& only_case = "") {
    EvaluateOptions chosen = options();
    if (!only_case.empty()) chosen.cases = {only_case};
    return evaluator_->evaluate(tasks_->at(task), Candidate{"candidate.cu", source, false}, chosen);
  }

  static std::vector<Known> read_folder(const char* folder, const char* extension) {
    std::vector<Known> known;
    for (const auto& entry : fs::directory_iterator(fs::path(ASSAY_SOURCE_DIR) / folder))
      if (entry.path().extension() == extension) known.push_back(read_known(entry.path()));
    std::ranges::sort(known, {}, &Known::file);
    return known;
  }

  static void expect_verdict(const Known& candidate, const Evaluation& evaluation) {
    if (!candidate.gap.empty()) {
      std::cout << "known gap: " << candidate.file << ": " << candidate.gap << '\n';
      EXPECT_NE(name(evaluation.outcome), candidate.expect)
          << candidate.file << " gets its outcome now: remove its gap line";
      return;
    }
    EXPECT_EQ(name(evaluation.outcome), candidate.expect)
        << candidate.file << ": " << evaluation.reason << ": " << evaluation.explanation;
    EXPECT_EQ(evaluation.reason, candidate.reason)
        << candidate.file << ": " << evaluation.explanation;
    EXPECT_NE(evaluation.explanation.find(candidate.says), std::string::npos)
        << candidate.file << " should say '" << candidate.says << "' but says '"
        << evaluation.explanation << "'";
  }

  /// As many at once as there are cores.
  static void expect_verdicts(const std::vector<Known>& known) {
    std::atomic<size_t> next{0};
    std::mutex mutex;
    const auto work = [&] {
      for (size_t i = next++; i < known.size(); i = next++) {
        const Evaluation evaluation = evaluate(known[i].task, known[i].source, known[i].only_case);
        const std::lock_guard lock(mutex);
        expect_verdict(known[i], evaluation);
      }
    };
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < std::max(2u, std::thread::hardware_concurrency()); ++i)
      workers.emplace_back(work);
    for (std::thread& worker : workers) worker.join();
  }

  /// Of tasks with every kind of argument: 16-bit and packed types, several outputs, one that is
  /// read too, evidence.
  static void expect_wrong_skeletons(Language language) {
    for (const char* id : {"rmsnorm", "topk-rows", "gla-recurrent-step", "tilus-gemm-w-uintx",
                           "batched-symmetric-eigh-jacobi"}) {
      const Task& task = tasks_->at(id);
      const Evaluation evaluation = evaluate(id, skeleton(task, language), task.cases.front().name);
      EXPECT_EQ(evaluation.language, language);
      EXPECT_EQ(evaluation.outcome, Outcome::wrong_output)
          << id << ": " << evaluation.reason << ": " << evaluation.explanation;
    }
  }

  static Evaluator* evaluator_;
  static std::map<std::string, Task>* tasks_;
};

Evaluator* CandidatesTest::evaluator_ = nullptr;
std::map<std::string, Task>* CandidatesTest::tasks_ = new std::map<std::string, Task>;

TEST_F(CandidatesTest, EveryKnownCandidateGetsItsOutcomeAndReason) {
  const std::vector<Known> known = read_folder("tests/candidates", ".cu");
  ASSERT_GE(known.size(), 60u);
  expect_verdicts(known);
}

TEST_F(CandidatesTest, EveryKnownTritonCandidateGetsItsOutcomeAndReason) {
  if (const auto found = triton::find_installation(); !found.ok())
    GTEST_SKIP() << found.error().message;
  const std::vector<Known> known = read_folder("tests/candidates/triton", ".py");
  ASSERT_GE(known.size(), 60u);
  expect_verdicts(known);
}

TEST_F(CandidatesTest, EveryTritonExpertIsCorrectInItsFirstCase) {
  if (const auto found = triton::find_installation(); !found.ok())
    GTEST_SKIP() << found.error().message;
  std::vector<Known> experts;
  for (const auto& folder :
       fs::directory_iterator(fs::path(ASSAY_SOURCE_DIR) / "reference_kernels")) {
    const fs::path file = folder.path() / "expert.py";
    if (!fs::exists(file)) continue;
    Known expert;
    expert.task = folder.path().filename();
    expert.file = expert.task + "/expert.py";
    expert.expect = "correct";
    expert.only_case = tasks_->at(expert.task).cases.front().name;
    expert.source = *read_file(file);
    experts.push_back(std::move(expert));
  }
  ASSERT_GE(experts.size(), 25u);
  expect_verdicts(experts);
}

TEST_F(CandidatesTest, SkeletonsCompileAndAreWrong) { expect_wrong_skeletons(Language::cuda); }

TEST_F(CandidatesTest, TritonSkeletonsAreRecordedAndAreWrong) {
  if (const auto found = triton::find_installation(); !found.ok())
    GTEST_SKIP() << found.error().message;
  expect_wrong_skeletons(Language::triton);
}

TEST_F(CandidatesTest, CodeInAnotherLanguageThanWasAskedForIsRejected) {
  const Task& task = tasks_->at("vector-add");
  for (const Language wanted : kLanguages) {
    EvaluateOptions asked = options();
    asked.language = wanted;
    const Language other = wanted == Language::cuda ? Language::triton : Language::cuda;
    const Evaluation evaluation =
        evaluator_->evaluate(task, {"other", skeleton(task, other), false}, asked);
    EXPECT_EQ(evaluation.outcome, Outcome::rejected);
    EXPECT_EQ(evaluation.reason, "other_language");
    EXPECT_EQ(evaluation.language, other);
    EXPECT_TRUE(evaluation.explanation.starts_with(title(wanted))) << evaluation.explanation;
  }
}

TEST_F(CandidatesTest, AnEmptyCandidateIsNoCode) {
  const Evaluation evaluation = evaluate("vector-add", "");
  EXPECT_EQ(evaluation.outcome, Outcome::no_code);
  EXPECT_EQ(evaluation.reason, "empty");
}

TEST_F(CandidatesTest, ACandidateOfTenMegabytesIsRejected) {
  const Evaluation evaluation = evaluate("vector-add", std::string(10 << 20, ' '));
  EXPECT_EQ(evaluation.outcome, Outcome::rejected);
  EXPECT_EQ(evaluation.reason, "too_large");
}

TEST_F(CandidatesTest, AModelsAnswerIsEvaluatedByItsCodeBlock) {
  const Candidate naive = *Evaluator::reference_kernel(tasks_->at("vector-add"), "naive");
  const Candidate answer{"answer", "Here it is:\n```cuda\n" + naive.source + "\n```\nDone.", true};
  const Evaluation evaluation = evaluator_->evaluate(tasks_->at("vector-add"), answer, options());
  EXPECT_EQ(evaluation.outcome, Outcome::correct) << evaluation.explanation;
  EXPECT_EQ(evaluation.extraction, "fenced_block");
}

TEST_F(CandidatesTest, AnAnswerWithoutCodeIsNoCode) {
  const Evaluation evaluation = evaluator_->evaluate(
      tasks_->at("vector-add"), Candidate{"answer", "I would rather not.", true}, options());
  EXPECT_EQ(evaluation.outcome, Outcome::no_code);
}

TEST_F(CandidatesTest, TheSameSeedGivesTheSamePlanAndErrors) {
  EvaluateOptions seeded = options();
  seeded.seed = 7;
  seeded.cases = {"small"};
  const Task& task = tasks_->at("matmul");
  const Candidate expert = *Evaluator::reference_kernel(task, "expert");
  const Evaluation first = evaluator_->evaluate(task, expert, seeded);
  const Evaluation second = evaluator_->evaluate(task, expert, seeded);
  ASSERT_EQ(first.outcome, Outcome::correct) << first.explanation;
  EXPECT_EQ(first.cases[0].plan_digest, second.cases[0].plan_digest);
  EXPECT_EQ(first.cases[0].seed, second.cases[0].seed);
  EXPECT_EQ(first.cases[0].report.comparisons[0].comparison.max_bound_ratio,
            second.cases[0].report.comparisons[0].comparison.max_bound_ratio);
}

TEST_F(CandidatesTest, NoExplanationHoldsAnExpectedValueOrTheSeed) {
  EvaluateOptions seeded = options();
  seeded.seed = 123456789;
  const Candidate wrong{"wrong.cu",
                        "__global__ void k(float* c, int n) { int i = blockIdx.x * 256 + "
                        "threadIdx.x; if (i < n) c[i] = 12345.f; }\n"
                        "extern \"C\" void solve(const float*, const float*, float* c, int n, "
                        "cudaStream_t s) { k<<<(n + 255) / 256, 256, 0, s>>>(c, n); }",
                        false};
  const Evaluation evaluation = evaluator_->evaluate(tasks_->at("vector-add"), wrong, seeded);
  EXPECT_EQ(evaluation.outcome, Outcome::wrong_output);
  EXPECT_EQ(evaluation.explanation.find("123456789"), std::string::npos);
  EXPECT_TRUE(evaluation.cases[0].report.expected.empty());
}

}  // namespace
}  // namespace assay
