// assay runs: list the runs under a folder, or show one with its samples.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/run_report.h"
#include "reports/table.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

Result<int> list_runs(const std::string& folder) {
  if (!fs::is_directory(folder))
    return Error{ErrorKind::not_found,
                 fmt::format("there is no folder {}; runs are kept there unless --out says "
                             "otherwise",
                             folder)};
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder))
    if (fs::exists(entry.path() / "results.sqlite")) folders.push_back(entry.path());
  std::ranges::sort(folders);
  Table table({"directory", "agent", "suite", "loop", "device", "done", "started", "stopped"});
  for (const fs::path& path : folders) {
    const auto data = load_report({path});
    if (!data.ok()) continue;  // evaluations without agents
    for (const ReportRun& run : data->runs) {
      const auto done = std::ranges::count_if(run.samples, &ReportSample::counted);
      table.add({path.string(), run.run.agent, run.run.suite, run.run.loop, run.run.device_id,
                 fmt::format("{}/{}", done, run.samples.size()), run.run.started_at,
                 run.run.stopped});
    }
  }
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
                 std::to_string(result.turns), std::to_string(result.tokens),
                 sample.counted() ? result.reason : result.failure_class, result.explanation});
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
  list->callback([folder, &status] {
    const Result<int> result = list_runs(*folder);
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
