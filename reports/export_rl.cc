#include "reports/export_rl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tasks/nearest.h"

namespace assay {

namespace {

using nlohmann::json;

std::optional<double> correctness(Outcome outcome, const std::optional<Speed>&) {
  if (outcome == Outcome::harness_error) return std::nullopt;
  return outcome == Outcome::correct ? 1.0 : 0.0;
}

/// Kevin-32B (arXiv 2507.11948): 0.3 for being right, plus the speedup.
std::optional<double> kevin(Outcome outcome, const std::optional<Speed>& speed) {
  if (outcome == Outcome::harness_error) return std::nullopt;
  if (outcome != Outcome::correct) return 0.0;
  if (!speed) return std::nullopt;
  return 0.3 + speed->speedup;
}

/// 1 for being right plus ln of the speedup, at least 0: equal ratios are worth the same.
std::optional<double> log_speedup(Outcome outcome, const std::optional<Speed>& speed) {
  if (outcome == Outcome::harness_error) return std::nullopt;
  if (outcome != Outcome::correct) return 0.0;
  if (!speed || !(speed->speedup > 0)) return std::nullopt;
  return std::max(0.0, 1 + std::log(speed->speedup));
}

/// Everything about one turn that a line may hold.
struct ExportTurn {
  const RunRow& run;
  const SampleRow& sample;
  const TurnRow& turn;
  Outcome outcome;
  std::optional<Speed> speed;
  json prompt;  // {"system", "messages"}
  std::string completion;
  std::optional<double> reward;
  std::optional<double> discounted;  // this turn's and later ones'
};

json optional_json(const std::optional<double>& value) { return value ? json(*value) : json(); }

json common(const ExportTurn& turn, const ExportOptions& options) {
  json line = {{"task", turn.sample.task_id},
               {"agent", turn.run.agent},
               {"sample", turn.sample.number},
               {"turn", turn.turn.number},
               {"parent", turn.turn.parent},
               {"outcome", name(turn.outcome)},
               {"reward", optional_json(turn.reward)},
               {"return", optional_json(turn.discounted)},
               {"reward_formula", options.reward},
               {"reward_components", {{"correct", turn.outcome == Outcome::correct}}}};
  if (turn.outcome == Outcome::harness_error) line["reward_components"]["correct"] = nullptr;
  line["reward_components"]["speedup"] = turn.speed ? json(turn.speed->speedup) : json();
  if (turn.speed)
    line["reward_components"].update(
        {{"speedup_low", turn.speed->interval.low}, {"speedup_high", turn.speed->interval.high}});
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

/// R_t = sum over i >= t of discount^(i-t) r_i. A masked reward masks the returns that hold it.
void add_returns(std::vector<ExportTurn>& turns, double discount) {
  std::optional<double> later = 0;
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    if (turn->reward && later)
      later = *turn->reward + discount * *later;
    else
      later.reset();
    turn->discounted = later;
  }
}

}  // namespace

const std::vector<RewardFormula>& reward_formulas() {
  static const std::vector<RewardFormula> formulas = {
      {"kevin-1", "0.3 if correct, plus the speedup over naive; null where not timed", kevin},
      {"correct-1", "1 if correct, else 0", correctness},
      {"log-speedup-1", "1 + ln(speedup) if correct, at least 0; null where not timed",
       log_speedup}};
  return formulas;
}

Result<RewardFormula> find_reward(const std::string& name) {
  std::vector<std::string> known;
  for (const RewardFormula& formula : reward_formulas()) {
    if (formula.name == name) return formula;
    known.push_back(formula.name);
  }
  return Error{ErrorKind::usage,
               fmt::format("there is no reward {}{}; there are {}", in_quotes(name),
                           suggestion(name, known), listed(known))};
}

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
  ASSIGN_OR_RETURN(const RewardFormula formula, find_reward(options.reward));
  const auto format =
      std::ranges::find_if(kFormats, [&](const Format& one) { return options.format == one.name; });
  if (format == std::end(kFormats))
    return Error{
        ErrorKind::usage,
        fmt::format("there is no format {}{}; there are {}", in_quotes(options.format),
                    suggestion(options.format, export_formats()), listed(export_formats()))};
  ASSIGN_OR_RETURN(const auto speed, speeds(store));
  ASSIGN_OR_RETURN(const std::vector<RunRow> all_runs, runs.runs());
  int lines = 0;
  for (const RunRow& run : all_runs) {
    ASSIGN_OR_RETURN(const std::vector<SampleRow> samples, runs.samples(run.id));
    for (const SampleRow& sample : samples) {
      ASSIGN_OR_RETURN(const std::vector<TurnRow> turns, runs.turns(sample.id));
      std::vector<ExportTurn> exported;
      for (const TurnRow& turn : turns) {
        if (turn.outcome.empty()) continue;  // no code was asked for, or not judged yet
        ExportTurn one{run, sample, turn, Outcome::harness_error, {}, {}, {}, {}, {}};
        one.outcome = outcome_from_name(turn.outcome).value_or(Outcome::harness_error);
        if (turn.evaluation_id)
          if (const auto found = speed.find(*turn.evaluation_id); found != speed.end())
            one.speed = found->second;
        ASSIGN_OR_RETURN(const std::string prompt, store.blob(turn.prompt_digest));
        one.prompt = json::parse(prompt, nullptr, false);
        if (!one.prompt.is_object()) one.prompt = json::object();
        ASSIGN_OR_RETURN(one.completion, store.blob(turn.answer_digest));
        one.reward = formula.reward(one.outcome, one.speed);
        exported.push_back(std::move(one));
      }
      add_returns(exported, options.discount);
      for (const ExportTurn& one : exported) {
        line(format->line(one, options).dump(-1, ' ', false, json::error_handler_t::replace));
        ++lines;
      }
    }
  }
  return lines;
}

}  // namespace assay
