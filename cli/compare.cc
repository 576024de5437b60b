// assay compare: two runs on the tasks they share, paired.
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/run_report.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

/// "DIR", or "DIR@AGENT" where a directory holds several.
Result<ReportRun> chosen_run(const std::string& text) {
  const size_t at = text.rfind('@');
  const bool named = at != std::string::npos && !std::filesystem::exists(text);
  const std::string folder = named ? text.substr(0, at) : text;
  const std::string agent = named ? text.substr(at + 1) : "";
  ASSIGN_OR_RETURN(ReportData data, load_report({folder}));
  std::vector<std::string> labels;
  std::vector<ReportRun*> found;
  for (ReportRun& run : data.runs) {
    labels.push_back(run.label);
    if (agent.empty() || run.label == agent || run.run.agent == agent) found.push_back(&run);
  }
  if (found.size() == 1) {
    found[0]->label += " (" + folder + ")";
    return std::move(*found[0]);
  }
  return Error{ErrorKind::usage,
               fmt::format("{} {}; write {}@AGENT with one of: {}", folder,
                           found.empty() ? "has no such agent" : "holds several agents", folder,
                           listed(labels))};
}

Result<int> compare(const std::string& first, const std::string& second) {
  ASSIGN_OR_RETURN(const ReportRun a, chosen_run(first));
  ASSIGN_OR_RETURN(const ReportRun b, chosen_run(second));
  ASSIGN_OR_RETURN(const RunComparison result, compare_runs(a, b));
  fmt::print("A: {}\nB: {}\n{} tasks in common\n", result.a, result.b, result.tasks);
  const auto& pass = result.pass_difference;
  fmt::print("pass@1, A - B:     {:+.3f}", pass.value);
  if (std::isfinite(pass.interval.high))
    fmt::print("  [{:+.3f}, {:+.3f}] (95 %, paired by task)", pass.interval.low,
               pass.interval.high);
  fmt::print("\ntasks better:      A {}, B {}, equal {} (sign test p = {:.3g})\n", result.wins,
             result.losses, result.ties, result.sign_p);
  if (result.speed_ratio) {
    fmt::print("speed, A over B:   {:.3g}x", result.speed_ratio->value);
    if (std::isfinite(result.speed_ratio->interval.high))
      fmt::print("  [{:.3g}, {:.3g}]", result.speed_ratio->interval.low,
                 result.speed_ratio->interval.high);
    fmt::print(" on {} tasks that both solved and timed\n", result.timed_tasks);
  } else {
    fmt::print("speed, A over B:   not measured\n");
  }
  return kEvaluated;
}

}  // namespace

void add_compare_command(CLI::App& app, int& status) {
  const auto runs = std::make_shared<std::pair<std::string, std::string>>();
  CLI::App* command =
      app.add_subcommand("compare", "Two runs on the tasks they share: paired differences.");
  command->add_option("a", runs->first, "Run directory, or DIR@AGENT")->required();
  command->add_option("b", runs->second, "Run directory, or DIR@AGENT")->required();
  command->callback([runs, &status] {
    const Result<int> result = compare(runs->first, runs->second);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
