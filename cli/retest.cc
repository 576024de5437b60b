// assay retest: the winners of a run, timed a second time before they are reported.
#include "reports/retest.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/digest.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "cli/run.h"
#include "cli/sandbox_option.h"
#include "cli/timing_option.h"
#include "reports/facts.h"
#include "reports/progress.h"
#include "reports/table.h"

namespace assay {

namespace {

struct RetestArguments {
  std::string folder;
  WinnerOptions winners;
  std::string timing = "leaderboard";
  std::string device;  // empty: the run's
  std::string require_sandbox = RunArguments().require_sandbox;
};

Result<const Task*> unchanged_task(const Catalogue& catalogue, const EvaluationSummary& first) {
  const auto task = std::ranges::find(catalogue.tasks, first.task_id, &Task::id);
  if (task == catalogue.tasks.end())
    return Error{ErrorKind::not_found, "there is no task " + first.task_id + " any more"};
  ASSIGN_OR_RETURN(const std::string digest, Evaluator::task_digest(*task));
  if (digest != first.task_digest)
    return Error{ErrorKind::invalid,
                 fmt::format("task {} has changed since the run: another measurement would be of "
                             "another task; run it again",
                             first.task_id)};
  return &*task;
}

/// Evaluates a winner again as an evaluation of its own; one that was done already is found.
Result<EvaluationSummary> evaluate_again(Store& store, const Task& task,
                                         const EvaluationSummary& first, Evaluator& evaluator,
                                         const EvaluateOptions& options) {
  ASSIGN_OR_RETURN(const std::string code, store.blob(first.source_digest));
  EvaluationKey key;
  key.task_digest = first.task_digest;
  key.source_digest = sha256(code);
  key.candidate = first.candidate;
  key.device_id = evaluator.device().id;
  key.arch = evaluator.arch();
  key.options = "re-test " + options_text(options);
  ASSIGN_OR_RETURN(const auto found, store.find(key));
  if (found) return *found;
  const Evaluation evaluation = evaluator.evaluate(task, {first.candidate, code, false}, options);
  ASSIGN_OR_RETURN(const int64_t id, store.add(key, evaluation, facts_json(evaluator)));
  ASSIGN_OR_RETURN(const auto added, store.find(id));
  if (!added) return Error{ErrorKind::internal, "an evaluation that was just added is not there"};
  return *added;
}

/// What is left to do of one run. Trouble of ours leaves a candidate as it was.
Result<int> retest_run(Store& store, const ReportRun& run, const std::vector<Winner>& winners,
                       const Catalogue& catalogue, const RetestArguments& arguments) {
  ASSIGN_OR_RETURN(const RunArguments original, run_arguments(run.run.command));
  Evaluator::Options evaluator_options;
  evaluator_options.device = arguments.device.empty() ? original.device : arguments.device;
  evaluator_options.arch = original.arch;
  EvaluateOptions options;
  options.repeats = original.repeats;
  options.run.deadline_seconds = original.deadline_seconds;
  ASSIGN_OR_RETURN(options.budget, timing_budget(arguments.timing, evaluator_options.device));
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator,
                   Evaluator::create(evaluator_options));
  RunStore runs(store);
  Table table({"task", "candidate", "verdict", "first", "again", "shrinkage"},
              {false, false, false, true, true, true});
  int troubles = 0;
  {
    Progress progress(winners.size());
    for (const Winner& winner : winners) {
      progress.now(winner.task_id);
      ASSIGN_OR_RETURN(const auto first, store.find(winner.evaluation_id));
      if (!first) continue;
      ASSIGN_OR_RETURN(const Task* const task, unchanged_task(catalogue, *first));
      ASSIGN_OR_RETURN(const EvaluationSummary again,
                       evaluate_again(store, *task, *first, *evaluator, options));
      progress.advance();
      const bool trouble = again.outcome == Outcome::harness_error ||
                           (again.outcome == Outcome::correct && !again.speedup);
      troubles += trouble ? 1 : 0;
      if (!trouble) RETURN_IF_ERROR(runs.set_retest(winner.evaluation_id, again.id));
      table.add({winner.task_id, first->candidate, std::string(name(again.outcome)),
                 fmt::format("{:.3f}x", winner.first.speedup),
                 again.speedup ? fmt::format("{:.3f}x", *again.speedup) : "-",
                 again.speedup ? fmt::format("{:+.1f} %",
                                             100 * std::log(winner.first.speedup / *again.speedup))
                               : "-"});
    }
  }
  fmt::print("{}:\n{}", run.label, table.text(terminal_width(STDOUT_FILENO)));
  return troubles;
}

Result<int> retest(const RetestArguments& arguments) {
  RETURN_IF_ERROR(check_sandbox(arguments.require_sandbox));
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const ReportData data, load_report({arguments.folder}));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(arguments.folder));
  size_t known = 0, left = 0;
  int troubles = 0;
  for (const ReportRun& run : data.runs) {
    std::vector<Winner> chosen = winners(run, arguments.winners);
    known += chosen.size();
    std::erase_if(chosen, [](const Winner& winner) { return winner.retest_id.has_value(); });
    left += chosen.size();
    if (chosen.empty()) continue;
    ASSIGN_OR_RETURN(const int of_run, retest_run(*store, run, chosen, catalogue, arguments));
    troubles += of_run;
  }
  if (known == 0)
    return Error{ErrorKind::not_found,
                 arguments.folder +
                     " holds no correct candidate that was timed; a run is timed with --device "
                     "cuda:0"};
  fmt::print(
      "{} candidates timed again, {} were before; assay report {} shows them by that alone\n", left,
      known - left, arguments.folder);
  return troubles > 0 ? kHarnessError : kEvaluated;
}

}  // namespace

void add_retest_command(CLI::App& app, int& status) {
  const auto a = std::make_shared<RetestArguments>();
  CLI::App* command = app.add_subcommand(
      "retest", "Time the fastest candidates of a run again; reports then use that measurement.");
  command->footer("docs/runs.md says why the first measurement of a winner is too good.");
  command->add_option("folder", a->folder, "Run directory")->required();
  command
      ->add_option("--best", a->winners.best,
                   "Candidates of each task at least; more where the first measurement cannot tell "
                   "them from the best")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--most", a->winners.most, "Candidates of each task at most")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--device", a->device, "Another device than the run's");
  command->add_option("--timing", a->timing, "rl, benchmark or leaderboard (assay run --help)")
      ->check(CLI::IsMember({"rl", "benchmark", "leaderboard"}))
      ->capture_default_str();
  add_sandbox_option(*command, a->require_sandbox);
  command->callback([a, &status] {
    const Result<int> result = retest(*a);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
