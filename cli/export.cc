// assay export: runs as training data.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/messages.h"
#include "evaluator/score/rewards.h"
#include "reports/export_rl.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

struct ExportArguments {
  std::string folder;
  std::string out;
  bool rl = false;
  std::string advantage = "none";
  ExportOptions options;
};

Result<int> export_runs(const ExportArguments& arguments) {
  ExportOptions options = arguments.options;
  ASSIGN_OR_RETURN(options.advantage, advantage_from_name(arguments.advantage));
  if (!std::filesystem::exists(std::filesystem::path(arguments.folder) / "results.sqlite"))
    return Error{ErrorKind::not_found, arguments.folder + " is no run directory"};
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(arguments.folder));
  RunStore runs(*store);
  std::FILE* file = arguments.out.empty() ? stdout : std::fopen(arguments.out.c_str(), "w");
  if (!file) return Error{ErrorKind::io, "cannot write " + arguments.out};
  const Result<int> lines = export_rl(*store, runs, options, [&](const std::string& line) {
    std::fputs(line.c_str(), file);
    std::fputc('\n', file);
  });
  bool written = std::ferror(file) == 0;
  written = (file == stdout ? std::fflush(file) : std::fclose(file)) == 0 && written;
  if (!lines.ok()) return lines.error();
  if (!written) return Error{ErrorKind::io, "cannot write all lines; is the disk full?"};
  fmt::print(stderr, "{} lines\n", *lines);
  return kEvaluated;
}

}  // namespace

void add_export_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = app.add_subcommand("export", "Runs as JSON lines for training.");
  std::string formulas = "Rewards (assay rewards list says what they are):\n";
  for (const RewardFormula& formula : reward_formulas())
    formulas += fmt::format("  {}\n", formula.id());
  command->footer(formulas);
  command->add_flag("--rl", arguments->rl, "One line a turn: prompt, completion, reward")
      ->required();
  command->add_option("folder", arguments->folder, "Run directory")->required();
  command->add_option("--format", arguments->options.format, listed(export_formats()))
      ->capture_default_str();
  command->add_option("--reward", arguments->options.reward, "Named formula, or a .toml file")
      ->capture_default_str();
  command->add_option("--discount", arguments->options.discount, "Of later turns in `return`")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--maximum", arguments->options.maximum,
                    "`return` is the discounted maximum instead of the sum");
  command
      ->add_option("--advantage", arguments->advantage,
                   "Among a task's samples at the same turn: none, mean_std or leave_one_out")
      ->capture_default_str();
  command->add_option("--out", arguments->out, "File; by default standard output");
  command->callback([arguments, &status] {
    const Result<int> result = export_runs(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
