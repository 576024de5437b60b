// assay retry: evaluate again what ended with a certain outcome; the answers are kept.
#include <fmt/format.h>

#include <memory>
#include <set>

#include "cli/commands.h"
#include "cli/messages.h"
#include "cli/run.h"
#include "reports/run_store.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

Result<int> retry(const std::string& folder, const std::string& outcome_name) {
  const auto outcome = outcome_from_name(outcome_name);
  if (!outcome)
    return Error{ErrorKind::usage, fmt::format("there is no outcome {}; README.md lists them",
                                               in_quotes(outcome_name))};
  if (!std::filesystem::exists(std::filesystem::path(folder) / "results.sqlite"))
    return Error{ErrorKind::not_found, folder + " is no run directory"};
  std::set<std::string> commands;
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
    RunStore runs(*store);
    ASSIGN_OR_RETURN(const std::vector<RunRow> rows, runs.runs());
    for (const RunRow& row : rows) commands.insert(row.command);
    ASSIGN_OR_RETURN(const int reopened, runs.reopen(*outcome));
    fmt::print(stderr, "{} samples to do again\n", reopened);
  }
  int status = kEvaluated;
  for (const std::string& command : commands) {
    ASSIGN_OR_RETURN(RunArguments arguments, run_arguments(command));
    arguments.out = folder;
    ASSIGN_OR_RETURN(const int one, run_agents(arguments));
    status = std::max(status, one);
  }
  return status;
}

}  // namespace

void add_retry_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<std::pair<std::string, std::string>>();
  arguments->second = "harness_error";
  CLI::App* command = app.add_subcommand(
      "retry", "Evaluate again what ended with an outcome; answers are not asked for again.");
  command->add_option("folder", arguments->first, "Run directory")->required();
  command->add_option("--outcome", arguments->second, "Outcome")->capture_default_str();
  command->callback([arguments, &status] {
    const Result<int> result = retry(arguments->first, arguments->second);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
