// Every file tests/mutants/<task>/*.cu is a plausible wrong kernel for that task, and must get the
// outcome and reason that its header states (the form is that of tests/candidates). A run takes a
// part of the tasks: see tests/tasks/part_of_tasks.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "evaluator/evaluate.h"
#include "tests/evaluator/known_candidate.h"
#include "tests/tasks/part_of_tasks.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(ASSAY_SOURCE_DIR) / "tests/mutants";

Result<Evaluator*> shared_evaluator() {
  static const auto evaluator = [] {
    Evaluator::Options options;
    options.threads_per_runner =
        static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    return Evaluator::create(options);
  }();
  if (!evaluator.ok()) return evaluator.error();
  return evaluator->get();
}

class MutantsTest : public testing::TestWithParam<std::string> {};

TEST_P(MutantsTest, AreRejected) {
  const Result<Evaluator*> evaluator = shared_evaluator();
  ASSERT_TRUE(evaluator.ok()) << evaluator.error().message;
  const Result<Catalogue> catalogue = load_catalogue();
  ASSERT_TRUE(catalogue.ok()) << catalogue.error().message;
  const Result<Task> task = find_task(*catalogue, GetParam());
  ASSERT_TRUE(task.ok()) << task.error().message;

  EvaluateOptions options;
  options.seed = 1;  // a fault that only some inputs show must not come and go
  options.run.instruction_budget = 20'000'000'000;
  options.run.deadline_seconds = 60;
  for (const auto& entry : fs::directory_iterator(kFolder / GetParam())) {
    const Known mutant = read_known(entry.path());
    SCOPED_TRACE(mutant.file);
    EXPECT_EQ(mutant.task, task->id);
    options.cases.clear();
    if (!mutant.only_case.empty()) options.cases = {mutant.only_case};
    const Evaluation evaluation =
        (*evaluator)->evaluate(*task, Candidate{mutant.file, mutant.source, false}, options);
    EXPECT_EQ(name(evaluation.outcome), mutant.expect)
        << evaluation.reason << ": " << evaluation.explanation;
    EXPECT_EQ(evaluation.reason, mutant.reason) << evaluation.explanation;
  }
}

std::vector<std::string> tasks_with_mutants() {
  std::vector<std::string> ids;
  const PartOfTasks& part = PartOfTasks::shared();
  for (const auto& entry : fs::directory_iterator(kFolder))
    if (entry.is_directory() && part.holds(entry.path().filename().string()))
      ids.push_back(entry.path().filename().string());
  std::ranges::sort(ids);
  return ids;
}

INSTANTIATE_TEST_SUITE_P(Of, MutantsTest, testing::ValuesIn(tasks_with_mutants()),
                         [](const auto& instance) {
                           std::string id = instance.param;
                           std::ranges::replace(id, '-', '_');
                           return id;
                         });

}  // namespace
}  // namespace assay
