#include "reports/export_rl.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "evaluator/score/rewards.h"
#include "reports/reward_facts.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

using nlohmann::json;

/// Everything about one turn that a line may hold.
struct ExportTurn {
  const RunRow* run = nullptr;
  SampleRow sample;
  TurnRow turn;
  RewardFacts facts;
  json prompt;  // {"system", "messages"}; read when its line is written
  std::string completion;
  std::optional<Reward> reward;
  std::optional<double> discounted;  // this turn's and later ones'
  std::optional<double> advantage;
};

json optional_json(const std::optional<double>& value) { return value ? json(*value) : json(); }

json common(const ExportTurn& turn, const ExportOptions& options) {
  const json reward = reward_json(turn.reward);
  json line = {{"task", turn.sample.task_id},
               {"agent", turn.run->agent},
               {"language", name(language_of(*turn.run))},
               {"sample", turn.sample.number},
               {"turn", turn.turn.number},
               {"parent", turn.turn.parent},
               {"outcome", name(turn.facts.outcome)},
               {"reward", reward["reward"]},
               {"return", optional_json(turn.discounted)},
               {"reward_formula", options.reward},
               {"reward_components", reward["components"]},
               {"speedup", turn.facts.timed ? json(turn.facts.speedup) : json()}};
  if (turn.facts.timed)
    line.update(
        {{"speedup_low", turn.facts.interval.low}, {"speedup_high", turn.facts.interval.high}});
  if (options.advantage != Advantage::none) line["advantage"] = optional_json(turn.advantage);
  return line;
}

json all_messages(const json& prompt) {
  json messages = json::array();
  if (const std::string system = prompt.value("system", ""); !system.empty())
    messages.push_back({{"role", "system"}, {"content", system}});
  if (prompt.contains("messages"))
    for (const json& message : prompt["messages"]) messages.push_back(message);
  return messages;
}

json assay_line(const ExportTurn& turn, const ExportOptions& options) {
  json line = common(turn, options);
  line["version"] = 1;
  line["prompt"] = all_messages(turn.prompt);
  line["completion"] = turn.completion;
  line["finish"] = turn.turn.finish;
  line["kind"] = turn.turn.kind;
  line["output_tokens"] = turn.turn.output_tokens;
  line["served_model"] = turn.turn.served_model;
  line["code_found"] = turn.turn.extraction;
  line["suite"] = turn.sample.suite;
  line["level"] = turn.sample.level;
  return line;
}

json chat_line(const ExportTurn& turn, const ExportOptions& options) {
  json line = common(turn, options);
  line["prompt"] = all_messages(turn.prompt);
  line["completion"] = json::array({{{"role", "assistant"}, {"content", turn.completion}}});
  return line;
}

json text_line(const ExportTurn& turn, const ExportOptions& options) {
  json line = common(turn, options);
  std::string prompt;
  for (const json& message : all_messages(turn.prompt))
    prompt += (prompt.empty() ? "" : "\n\n") + message.value("content", "");
  line["prompt"] = prompt;
  line["completion"] = turn.completion;
  return line;
}

struct Format {
  const char* name;
  json (*line)(const ExportTurn&, const ExportOptions&);
};
constexpr Format kFormats[] = {{"assay", assay_line}, {"chat", chat_line}, {"text", text_line}};

/// The returns of one sample's turns.
void add_returns(std::span<ExportTurn> turns, const ExportOptions& options) {
  Rewards rewards;
  for (const ExportTurn& turn : turns)
    rewards.push_back(turn.reward ? std::optional(turn.reward->total()) : std::nullopt);
  const Rewards returns = options.maximum ? discounted_maxima(rewards, options.discount)
                                          : discounted_sums(rewards, options.discount);
  for (size_t i = 0; i < turns.size(); ++i) turns[i].discounted = returns[i];
}

/// A group: the samples of a task at the same turn.
void add_advantages(std::vector<ExportTurn>& turns, Advantage kind) {
  std::map<std::pair<std::string, int>, std::vector<size_t>> groups;
  for (size_t i = 0; i < turns.size(); ++i)
    groups[{turns[i].sample.task_id, turns[i].turn.number}].push_back(i);
  for (const auto& [key, members] : groups) {
    Rewards returns;
    for (const size_t member : members) returns.push_back(turns[member].discounted);
    const Rewards values = advantages(returns, kind);
    for (size_t i = 0; i < members.size(); ++i) turns[members[i]].advantage = values[i];
  }
}

/// All judged turns of a run with what they are worth, without their texts.
Result<std::vector<ExportTurn>> worth_of(const RunRow& run, RunStore& runs,
                                         const RewardFormula& formula,
                                         const std::map<int64_t, RewardFacts>& facts,
                                         const ExportOptions& options) {
  std::vector<ExportTurn> all;
  ASSIGN_OR_RETURN(const std::vector<SampleRow> samples, runs.samples(run.id));
  for (const SampleRow& sample : samples) {
    const size_t first = all.size();
    ASSIGN_OR_RETURN(const std::vector<TurnRow> turns, runs.turns(sample.id));
    for (const TurnRow& turn : turns) {
      if (turn.outcome.empty()) continue;  // no code was asked for, or not judged yet
      ExportTurn& one = all.emplace_back();
      one.run = &run;
      one.sample = sample;
      one.turn = turn;
      one.facts.outcome = outcome_from_name(turn.outcome).value_or(Outcome::harness_error);
      if (turn.evaluation_id)
        if (const auto found = facts.find(*turn.evaluation_id); found != facts.end())
          one.facts = found->second;
      one.reward = formula.reward(one.facts);
    }
    add_returns(std::span(all).subspan(first), options);
  }
  if (options.advantage != Advantage::none) add_advantages(all, options.advantage);
  return all;
}

}  // namespace

const std::vector<std::string>& export_formats() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Format& format : kFormats) all.emplace_back(format.name);
    return all;
  }();
  return names;
}

Result<int> export_rl(const Store& store, RunStore& runs, const ExportOptions& options,
                      const std::function<void(const std::string&)>& line) {
  ASSIGN_OR_RETURN(const RewardFormula formula, load_reward(options.reward));
  const auto format =
      std::ranges::find_if(kFormats, [&](const Format& one) { return options.format == one.name; });
  if (format == std::end(kFormats))
    return Error{
        ErrorKind::usage,
        fmt::format("there is no format {}{}; there are {}", in_quotes(options.format),
                    suggestion(options.format, export_formats()), listed(export_formats()))};
  ASSIGN_OR_RETURN(const auto facts, reward_facts(store));
  ASSIGN_OR_RETURN(const std::vector<RunRow> all_runs, runs.runs());
  int lines = 0;
  for (const RunRow& run : all_runs) {
    ASSIGN_OR_RETURN(std::vector<ExportTurn> turns, worth_of(run, runs, formula, facts, options));
    for (ExportTurn& one : turns) {
      ASSIGN_OR_RETURN(const std::string prompt, store.blob(one.turn.prompt_digest));
      one.prompt = json::parse(prompt, nullptr, false);
      if (!one.prompt.is_object()) one.prompt = json::object();
      ASSIGN_OR_RETURN(one.completion, store.blob(one.turn.answer_digest));
      line(format->line(one, options).dump(-1, ' ', false, json::error_handler_t::replace));
      ++lines;
      one.prompt = {};
      one.completion = {};
    }
  }
  return lines;
}

}  // namespace assay
