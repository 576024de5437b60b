// assay rewards: which formulas there are. assay rescore: a finished run by another formula.
#include "evaluator/score/rewards.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/messages.h"
#include "evaluator/score/custom_reward.h"
#include "reports/reward_facts.h"
#include "reports/table.h"

namespace assay {

namespace {

void list_rewards() {
  Table table({"reward", "needs timing", "formula"});
  for (const RewardFormula& formula : reward_formulas())
    table.add({formula.id(), formula.needs_timing ? "yes" : "no", formula.about});
  fmt::print("{}", table.text(terminal_width(STDOUT_FILENO)));
}

struct Example {
  const char* words;
  Outcome outcome;
  double speedup;  // 0: not timed
};
constexpr Example kExamples[] = {{"no code", Outcome::no_code, 0},
                                 {"does not compile", Outcome::compile_error, 0},
                                 {"wrong, no case right", Outcome::wrong_output, 0},
                                 {"tampered", Outcome::tampered, 0},
                                 {"correct, 0.5x", Outcome::correct, 0.5},
                                 {"correct, 1x", Outcome::correct, 1},
                                 {"correct, 2x", Outcome::correct, 2},
                                 {"correct, 16x", Outcome::correct, 16},
                                 {"correct, not timed", Outcome::correct, 0},
                                 {"harness error", Outcome::harness_error, 0}};

RewardFacts facts_of(const Example& example) {
  RewardFacts facts;
  facts.outcome = example.outcome;
  facts.compiled = facts.has_code() && example.outcome != Outcome::compile_error;
  facts.tests_total = facts.compiled ? 4 : 0;
  facts.tests_passed = example.outcome == Outcome::correct ? 4 : 0;
  facts.timed = example.speedup > 0;
  if (facts.timed) {
    facts.speedup = example.speedup;
    facts.interval = {example.speedup * 0.99, example.speedup * 1.01};
    facts.reference_us = 100;
    facts.kernel_us = 100 / example.speedup;
  }
  return facts;
}

Result<int> show_reward(const std::string& name) {
  ASSIGN_OR_RETURN(const RewardFormula formula, load_reward(name));
  fmt::print("{}\n  formula       {}\n  source        {}\n  needs timing  {}\n", formula.id(),
             formula.about, formula.source, formula.needs_timing ? "yes" : "no");
  const Result<void> monotone = check_monotone(formula);
  fmt::print("  monotone      {}\n\n", monotone.ok() ? "yes" : "no: " + monotone.error().message);
  Table table({"a candidate", "reward", "components"}, {false, true, false});
  for (const Example& example : kExamples) {
    const std::optional<Reward> reward = formula.reward(facts_of(example));
    std::string components;
    if (reward)
      for (const auto& [component, value] : reward->components)
        components += fmt::format("{}{} {:.4g}", components.empty() ? "" : ", ", component, value);
    table.add(
        {example.words, reward ? fmt::format("{:.4g}", reward->total()) : "none", components});
  }
  fmt::print(
      "{}\nSpeedups of the examples have an interval of 1 %; \"none\" is no verdict, not 0.\n",
      table.text());
  return kEvaluated;
}

struct RescoreArguments {
  std::string folder;
  std::string reward = "assay-v1";
  bool json = false;
};

Result<int> rescore(const RescoreArguments& arguments) {
  if (!std::filesystem::exists(std::filesystem::path(arguments.folder) / "results.sqlite"))
    return Error{ErrorKind::not_found, arguments.folder + " is no run directory"};
  ASSIGN_OR_RETURN(const RewardFormula formula, load_reward(arguments.reward));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(arguments.folder));
  ASSIGN_OR_RETURN(const auto rows, store->evaluations());
  ASSIGN_OR_RETURN(const auto facts, reward_facts(*store));
  Table table({"task", "candidate", "verdict", "speedup", "reward", "components"},
              {false, false, false, true, true, false});
  double sum = 0;
  int rewarded = 0;
  for (const EvaluationSummary& row : rows) {
    const RewardFacts& fact = facts.at(row.id);
    const std::optional<Reward> reward = formula.reward(fact);
    if (reward) sum += reward->total(), ++rewarded;
    if (arguments.json) {
      nlohmann::json line = {{"evaluation_id", row.id},
                             {"task", row.task_id},
                             {"candidate", row.candidate},
                             {"outcome", name(row.outcome)},
                             {"speedup", fact.timed ? nlohmann::json(fact.speedup) : nullptr},
                             {"reward_spec", formula.id()}};
      line.update(reward_json(reward));
      fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      continue;
    }
    std::string components;
    if (reward)
      for (const auto& [component, value] : reward->components)
        components += fmt::format("{}{} {:.4g}", components.empty() ? "" : ", ", component, value);
    table.add({row.task_id, row.candidate, std::string(name(row.outcome)),
               fact.timed ? fmt::format("{:.3g}x", fact.speedup) : "-",
               reward ? fmt::format("{:.4g}", reward->total()) : "none", components});
  }
  if (arguments.json) return kEvaluated;
  fmt::print("{}", table.text(terminal_width(STDOUT_FILENO)));
  fmt::print(
      "{}: mean {:.4g} over {} of {} evaluations; \"none\" is no verdict or not timed, and in "
      "no mean\n",
      formula.id(), rewarded > 0 ? sum / rewarded : 0.0, rewarded, rows.size());
  return kEvaluated;
}

}  // namespace

void add_rewards_command(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("rewards", "The reward formulas: list, show.");
  command->require_subcommand(1);
  command->add_subcommand("list", "All formulas")->callback([] { list_rewards(); });
  CLI::App* show = command->add_subcommand("show", "One formula: source, components, examples");
  const auto name = std::make_shared<std::string>();
  show->add_option("name", *name, "Name, name@version, or a .toml file (docs/rewards.md)")
      ->required();
  show->callback([name, &status] {
    const Result<int> result = show_reward(*name);
    status = result.ok() ? *result : report(result.error());
  });
}

void add_rescore_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<RescoreArguments>();
  CLI::App* command = app.add_subcommand(
      "rescore", "Compute rewards of a finished run by a formula; nothing is evaluated.");
  command->add_option("folder", arguments->folder, "Run directory")->required();
  command->add_option("--reward", arguments->reward, "Name, name@version, or a .toml file")
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "JSON lines");
  command->callback([arguments, &status] {
    const Result<int> result = rescore(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
