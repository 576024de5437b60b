#include "cli/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <optional>
#include <thread>

#include "base/digest.h"
#include "reports/facts.h"
#include "reports/progress.h"
#include "tasks/npy.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

Result<void> dump_cases(const Task& task, const Evaluation& evaluation, const fs::path& folder) {
  for (const CaseResult& result : evaluation.cases) {
    const auto spec = std::ranges::find(task.cases, result.name, &CaseSpec::name);
    ASSIGN_OR_RETURN(const BoundCase bound, bind(task, *spec));
    CaseBytes bytes;
    bytes.inputs = result.report.inputs;
    bytes.expected = result.report.expected;
    bytes.outputs = result.report.outputs;
    RETURN_IF_ERROR(
        write_case(bound, bytes, std::nullopt, folder / evaluation.candidate / result.name));
  }
  return {};
}

}  // namespace

Result<std::vector<EvaluationSummary>> run_batch(const std::vector<BatchItem>& items,
                                                 const BatchOptions& options, Store& store) {
  const int cores = std::max(1u, std::thread::hardware_concurrency());
  const int jobs = std::clamp(options.jobs > 0 ? options.jobs : cores, 1,
                              std::max(1, static_cast<int>(items.size())));
  Evaluator::Options evaluator_options = options.evaluator;
  evaluator_options.runners = jobs;
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator,
                   Evaluator::create(evaluator_options));
  const std::string facts = facts_json(*evaluator);

  std::vector<EvaluationSummary> summaries(items.size());
  std::optional<Error> failure;
  std::mutex mutex;
  Progress progress(items.size());

  const auto evaluate_item = [&](size_t index) -> Result<void> {
    const BatchItem& item = items[index];
    EvaluateOptions evaluate = options.evaluate;
    if (!item.cases.empty()) evaluate.cases = item.cases;
    EvaluationKey key;
    ASSIGN_OR_RETURN(key.task_digest, Evaluator::task_digest(*item.task));
    key.source_digest = sha256(item.candidate.source);
    key.candidate = item.candidate.name;
    key.device_id = evaluator->device().id;
    key.arch = evaluator->arch();
    key.options = options_text(evaluate);
    ASSIGN_OR_RETURN(std::optional<EvaluationSummary> known, store.find(key));
    if (!known || !options.dump.empty()) {
      const std::string label = item.task->id + " / " + item.candidate.name;
      const Evaluation evaluation = evaluator->evaluate(
          *item.task, item.candidate, evaluate, [&](Stage stage, const std::string& case_name) {
            progress.now(fmt::format("{}: {} {}", label, name(stage), case_name));
          });
      if (!options.dump.empty()) RETURN_IF_ERROR(dump_cases(*item.task, evaluation, options.dump));
      ASSIGN_OR_RETURN(const int64_t id, store.add(key, evaluation, facts));
      ASSIGN_OR_RETURN(known, store.find(id));
    }
    summaries[index] = *std::move(known);
    progress.advance();
    return {};
  };

  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t index = next++; index < items.size(); index = next++) {
      const Result<void> done = evaluate_item(index);
      if (done.ok()) continue;
      const std::lock_guard lock(mutex);
      if (!failure) failure = done.error();
      next = items.size();
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < jobs; ++i) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  if (failure) return *failure;
  return summaries;
}

fs::path default_run_folder(const std::string& what) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%d-%H%M%S", &parts);
  return fs::current_path() / "runs" / fmt::format("{}-{}", text.data(), what);
}

}  // namespace assay
