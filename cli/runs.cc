// assay runs: list the runs under a folder, or show one with its samples.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "agents/http/json.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/run_list.h"
#include "reports/run_report.h"
#include "reports/table.h"

namespace assay {

namespace {

Result<int> print_runs(const std::string& folder, bool json) {
  ASSIGN_OR_RETURN(const RunList list, list_runs(folder));
  for (const std::string& problem : list.unreadable) fmt::print(stderr, "assay: {}\n", problem);
  if (json) {
    for (const ListedRun& run : list.runs) fmt::print("{}\n", json_text(to_json(run)));
    return kEvaluated;
  }
  Table table({"directory", "agent", "suite", "language", "loop", "device", "done", "correct",
               "started", "stopped"});
  for (const auto& [path, run, tally] : list.runs)
    table.add({path.string(), run.agent, run.suite, std::string(name(language_of(run))), run.loop,
               run.device_id, fmt::format("{}/{}", tally.done, tally.samples),
               std::to_string(tally.correct), run.started_at, run.stopped});
  fmt::print("{}", table.text(terminal_width(STDOUT_FILENO)));
  return kEvaluated;
}

Result<int> show_run(const std::string& folder) {
  ASSIGN_OR_RETURN(const ReportData data, load_report({folder}));
  Table table(
      {"sample", "agent", "task", "number", "verdict", "turns", "tokens", "reason", "explanation"});
  for (const ReportRun& run : data.runs)
    for (const ReportSample& sample : run.samples) {
      const SampleResult& result = sample.result;
      table.add({std::to_string(result.sample_id), run.label, result.task_id,
                 std::to_string(result.number),
                 std::string(sample.counted() ? name(result.outcome) : name(result.state)),
                 std::to_string(result.turns), std::to_string(result.tokens), sample.reason(),
                 result.explanation});
    }
  fmt::print("{}\nassay show SAMPLE --run {} prints one of them\n",
             table.text(terminal_width(STDOUT_FILENO)), folder);
  return kEvaluated;
}

}  // namespace

void add_runs_command(CLI::App& app, int& status) {
  const auto folder = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("runs", "List runs, or show the samples of one.");
  command->require_subcommand(1);
  CLI::App* list = command->add_subcommand("list", "The runs under a folder.");
  list->add_option("folder", *folder, "Folder of run directories")->default_val("runs");
  const auto json = std::make_shared<bool>(false);
  list->add_flag("--json", *json, "One JSON object a run and line");
  list->callback([folder, json, &status] {
    const Result<int> result = print_runs(*folder, *json);
    status = result.ok() ? *result : report(result.error());
  });
  CLI::App* show = command->add_subcommand("show", "The samples of a run directory.");
  show->add_option("folder", *folder, "Run directory")->required();
  show->callback([folder, &status] {
    const Result<int> result = show_run(*folder);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
