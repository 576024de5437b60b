// assay show: one sample, turn by turn: prompt, answer, code, diagnostics, verdict.
#include <fmt/format.h>

#include <memory>

#include "agents/http/json.h"
#include "agents/prompt.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/facts.h"
#include "reports/run_store.h"
#include "reports/speed.h"
#include "reports/table.h"

namespace assay {

namespace {

std::string prompt_text(const std::string& blob) {
  const auto json = parse_json(blob);
  if (!json.ok()) return blob;
  std::vector<Message> messages;
  for (const nlohmann::json& message : array_at(*json, {"messages"}))
    messages.push_back({string_at(message, {"role"}) == "user" ? Speaker::user : Speaker::assistant,
                        string_at(message, {"content"})});
  return plain_text(string_at(*json, {"system"}), messages);
}

/// Control characters of a model's text would reach the terminal as commands.
std::string printable(std::string text) {
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\t') || c == 127) c = '?';
  return text;
}

Result<void> show_evaluation(const Store& store, const TurnRow& turn) {
  if (!turn.evaluation_id) return {};
  ASSIGN_OR_RETURN(const auto evaluation, store.find(*turn.evaluation_id));
  if (!evaluation) return {};
  fmt::print("\n--- verdict: {} {}\n{}\n", name(evaluation->outcome), evaluation->reason,
             printable(evaluation->explanation));
  ASSIGN_OR_RETURN(const auto diagnostics, store.diagnostics(evaluation->id));
  for (const Diagnostic& diagnostic : diagnostics)
    fmt::print("line {}: {}: {}\n", diagnostic.line, name(diagnostic.severity),
               printable(diagnostic.message));
  ASSIGN_OR_RETURN(const auto cases, store.cases(evaluation->id));
  Table table({"case", "verdict", "error/bound", "instructions", "record", "check"});
  for (const CaseSummary& row : cases)
    table.add({row.name, std::string(name(row.outcome)), fmt::format("{:.2g}", row.max_bound_ratio),
               short_count(row.lane_instructions), short_duration(row.record_ms),
               short_duration(row.check_ms)});
  if (table.rows() > 0) fmt::print("{}", table.text());
  ASSIGN_OR_RETURN(const nlohmann::json isolation, isolation_of(store, evaluation->id));
  fmt::print("sandbox: {}\n", printable(isolation_text(isolation)));
  ASSIGN_OR_RETURN(const auto speed, speeds(store, turn.evaluation_id));
  for (const auto& [id, value] : speed)
    fmt::print("speedup {:.3g}x [{:.3g}, {:.3g}]\n", value.speedup, value.interval.low,
               value.interval.high);
  fmt::print("compile {}, check {}\n", short_duration(evaluation->compile_ms),
             short_duration(evaluation->check_ms));
  return {};
}

Result<int> show_sample(const std::string& folder, int64_t id, bool prompts) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
  RunStore runs(*store);
  ASSIGN_OR_RETURN(const auto sample, runs.sample(id));
  if (!sample)
    return Error{
        ErrorKind::not_found,
        fmt::format("{} has no sample {}; assay runs show {} lists them", folder, id, folder)};
  fmt::print("sample {}: task {}, number {}, {}{}\n", id, sample->task_id, sample->number,
             name(sample->state), sample->failure.empty() ? "" : ": " + printable(sample->failure));
  ASSIGN_OR_RETURN(const auto turns, runs.turns(id));
  for (const TurnRow& turn : turns) {
    fmt::print("\n=== turn {} ({}{}){}: {} tokens, {}{}\n", turn.number, turn.kind,
               turn.parent >= 0 ? fmt::format(" of turn {}", turn.parent) : "",
               sample->best_turn_id == turn.id ? ", the sample's best" : "", turn.tokens,
               short_duration(1000 * turn.seconds), turn.cached ? ", from the cache" : "");
    if (prompts) {
      ASSIGN_OR_RETURN(const std::string prompt, store->blob(turn.prompt_digest));
      fmt::print("\n--- prompt\n{}\n", printable(prompt_text(prompt)));
    }
    ASSIGN_OR_RETURN(const std::string answer, store->blob(turn.answer_digest));
    fmt::print("\n--- answer (finish: {}; code: {})\n{}\n", turn.finish,
               turn.extraction.empty() ? "not asked for" : turn.extraction, printable(answer));
    RETURN_IF_ERROR(show_evaluation(*store, turn));
  }
  return kEvaluated;
}

}  // namespace

void add_show_command(CLI::App& app, int& status) {
  struct Arguments {
    int64_t sample = 0;
    std::string run;
    bool no_prompt = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "show", "Print one sample of a run: prompt, answer, code, diagnostics, verdict.");
  command->add_option("sample", arguments->sample, "Its number (assay runs show DIR)")->required();
  command->add_option("--run", arguments->run, "Run directory")->required();
  command->add_flag("--no-prompt", arguments->no_prompt, "Leave the prompts out");
  command->callback([arguments, &status] {
    const Result<int> result =
        show_sample(arguments->run, arguments->sample, !arguments->no_prompt);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
