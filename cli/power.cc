// assay power: how many tasks and samples a comparison takes, before it is paid for.
#include "reports/power.h"

#include <fmt/format.h>

#include <memory>

#include "cli/chosen_run.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/table.h"

namespace assay {

namespace {

struct PowerArguments {
  std::vector<std::string> pilots;
  Spread spread;
  double difference = 0.1;
  double power = 0.8;
  std::vector<int> samples = {1, 2, 4, 8, 16};
  int tasks = 0;  // 0: not asked
};

Result<Spread> spread_from(const PowerArguments& arguments) {
  if (arguments.pilots.empty()) return arguments.spread;
  ASSIGN_OR_RETURN(const ReportRun a, chosen_run(arguments.pilots[0]));
  if (arguments.pilots.size() == 1) return spread_of(a, nullptr);
  ASSIGN_OR_RETURN(const ReportRun b, chosen_run(arguments.pilots[1]));
  return spread_of(a, &b);
}

Result<int> print_plan(const PowerArguments& arguments) {
  ASSIGN_OR_RETURN(const Spread spread, spread_from(arguments));
  fmt::print(
      "{}: variance over tasks of the difference of pass@1 {:.3g}; of a sample around its task's "
      "rate {:.3g} and {:.3g}\n\n",
      arguments.pilots.empty() ? "assumed" : "estimated from the pilot", spread.between,
      spread.within_a, spread.within_b);
  std::vector<std::string> header = {"samples a task",
                                     fmt::format("tasks to see {:g}", arguments.difference),
                                     "evaluations of each agent"};
  if (arguments.tasks > 0) header.push_back(fmt::format("seen with {} tasks", arguments.tasks));
  Table table(header, std::vector<bool>(header.size(), true));
  for (const int samples : arguments.samples) {
    const int tasks = tasks_needed(spread, samples, arguments.difference, arguments.power);
    std::vector<std::string> row = {std::to_string(samples), std::to_string(tasks),
                                    std::to_string(int64_t{tasks} * samples)};
    if (arguments.tasks > 0)
      row.push_back(fmt::format(
          "{:.3f}", smallest_difference(spread, samples, arguments.tasks, arguments.power)));
    table.add(std::move(row));
  }
  fmt::print(
      "{}\nTwo agents on the same tasks, paired; a true difference is found at the 95 % level "
      "with a chance of {:g} %.\n",
      table.text(), 100 * arguments.power);
  return kEvaluated;
}

}  // namespace

void add_power_command(CLI::App& app, int& status) {
  const auto a = std::make_shared<PowerArguments>();
  CLI::App* command = app.add_subcommand(
      "power", "How many tasks and samples it takes to see a difference between two agents.");
  command->footer(
      "Example: assay power --difference 0.05 --tasks 100\n"
      "With one or two pilot runs (DIR or DIR@AGENT) the variances are estimated from them.");
  command->add_option("pilots", a->pilots, "Up to two pilot runs")->expected(0, 2);
  command->add_option("--difference", a->difference, "Difference of pass@1 to be seen")
      ->check(CLI::Range(0.0001, 1.0))
      ->capture_default_str();
  command->add_option("--power", a->power, "Chance of seeing it")
      ->check(CLI::Range(0.5, 0.999))
      ->capture_default_str();
  command->add_option("--samples", a->samples, "Samples of each task")
      ->delimiter(',')
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--tasks", a->tasks, "Also say what this many tasks can see")
      ->check(CLI::Range(2, 1000000));
  command
      ->add_option("--between", a->spread.between,
                   "Without a pilot: variance over tasks of the difference")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_option_function<double>(
          "--within", [a](double value) { a->spread.within_a = a->spread.within_b = value; },
          "Without a pilot: variance of a sample around its task's rate (0.25 at most)")
      ->check(CLI::Range(0.0, 0.25))
      ->default_str(fmt::format("{:.3g}", a->spread.within_a));
  command->callback([a, &status] {
    const Result<int> result = print_plan(*a);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
