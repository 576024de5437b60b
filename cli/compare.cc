// assay compare: two runs on the tasks they share, paired.
#include "reports/compare.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "agents/http/json.h"
#include "cli/chosen_run.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/table.h"

namespace assay {

namespace {

struct CompareArguments {
  std::string a, b;
  bool json = false;
};

Result<int> compare(const CompareArguments& arguments) {
  ASSIGN_OR_RETURN(const ReportRun a, chosen_run(arguments.a));
  ASSIGN_OR_RETURN(const ReportRun b, chosen_run(arguments.b));
  ASSIGN_OR_RETURN(const RunComparison result, compare_runs(a, b));
  if (arguments.json)
    fmt::print("{}\n", json_text(to_json(result)));
  else
    fmt::print("{}", comparison_text(result, terminal_width(STDOUT_FILENO)));
  return kEvaluated;
}

}  // namespace

void add_compare_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<CompareArguments>();
  CLI::App* command =
      app.add_subcommand("compare", "Two runs on the tasks they share: paired differences.");
  command->add_option("a", arguments->a, "Run directory, or DIR@AGENT")->required();
  command->add_option("b", arguments->b, "Run directory, or DIR@AGENT")->required();
  command->add_flag("--json", arguments->json, "One JSON object");
  command->callback([arguments, &status] {
    const Result<int> result = compare(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
