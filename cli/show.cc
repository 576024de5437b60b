// assay show: one sample, turn by turn: prompt, answer, code, diagnostics, verdict, what it asked
// of the device, timings.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>

#include "agents/http/json.h"
#include "agents/prompt.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/facts.h"
#include "reports/run_list.h"
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

std::string dimensions(const Dim3& dim) {
  if (dim.z != 1) return fmt::format("{}x{}x{}", dim.x, dim.y, dim.z);
  return dim.y != 1 ? fmt::format("{}x{}", dim.x, dim.y) : std::to_string(dim.x);
}

/// The code that was compiled, with the line numbers that diagnostics speak of.
std::string numbered(const std::string& code) {
  std::istringstream lines(code);
  std::string text, line;
  for (int number = 1; std::getline(lines, line); ++number)
    text += fmt::format("{:4} | {}\n", number, printable(line));
  return text;
}

void show_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics)
    fmt::print("line {}: {}: {}\n", diagnostic.line, name(diagnostic.severity),
               printable(diagnostic.message));
}

void show_kernels(const std::vector<Kernel>& kernels) {
  Table table({"registers", "spilled", "stack", "shared", "kernel"},
              {true, true, true, true, false});
  for (const Kernel& kernel : kernels)
    table.add({kernel.registers > 0 ? std::to_string(kernel.registers) : "-",
               short_bytes(uint64_t{kernel.spill_store_bytes} + kernel.spill_load_bytes),
               short_bytes(kernel.stack_bytes), short_bytes(kernel.static_shared_bytes),
               printable(kernel.demangled.empty() ? kernel.name : kernel.demangled)});
  if (table.rows() > 0) fmt::print("\n--- kernels, as compiled\n{}", table.text());
}

/// What solve() asked the device to do in each case.
void show_plans(const std::vector<CaseSummary>& cases) {
  Table memory(
      {"case", "launches", "memsets", "copies", "streams", "buffers", "scratch", "kernels needed"});
  Table launches({"case", "times", "grid", "block", "cluster", "dynamic shared", "kernel"});
  const auto held = [](uint64_t count, uint64_t bytes) {
    return count == 0 ? "-" : fmt::format("{} of {}", count, short_bytes(bytes));
  };
  for (const CaseSummary& row : cases) {
    if (!row.plan) continue;
    const PlanSummary& plan = *row.plan;
    memory.add({row.name, std::to_string(plan.launch_count()), std::to_string(plan.memsets),
                std::to_string(plan.copies), std::to_string(plan.streams),
                held(plan.arguments, plan.argument_bytes),
                held(plan.scratch_buffers, plan.scratch_bytes),
                !row.kernels_needed   ? "-"
                : *row.kernels_needed ? "yes"
                                      : "no"});
    for (const PlanSummary::Launches& same : plan.launches)
      launches.add({row.name, std::to_string(same.count), dimensions(same.grid),
                    dimensions(same.block),
                    same.cluster == Dim3{0, 0, 0} ? "-" : dimensions(same.cluster),
                    short_bytes(same.dynamic_shared_bytes), printable(same.kernel)});
    if (plan.launches_left_out > 0)
      launches.add({row.name, std::to_string(plan.launches_left_out), "", "", "", "", "(others)"});
  }
  if (memory.rows() == 0) return;
  fmt::print("\n--- plan\n{}", memory.text());
  if (launches.rows() > 0) fmt::print("\n{}", launches.text());
}

void show_cases(const std::vector<CaseSummary>& cases) {
  Table checks({"case", "verdict", "error/bound", "instructions", "record", "check"});
  Table timed({"case", "a call, us", "naive, us", "vs naive", "95 %", "vs expert"});
  for (const CaseSummary& row : cases) {
    checks.add({row.name, std::string(name(row.outcome)),
                fmt::format("{:.2g}", row.max_bound_ratio), short_count(row.lane_instructions),
                short_duration(row.record_ms), short_duration(row.check_ms)});
    if (!row.speed || !(row.speed->speedup.value > 0)) continue;
    const CaseSpeed& speed = *row.speed;
    timed.add(
        {row.name, fmt::format("{:.4g}", speed.candidate_us),
         fmt::format("{:.4g}", speed.baseline_us), fmt::format("{:.3g}x", speed.speedup.value),
         fmt::format("{:.3g} to {:.3g}", speed.speedup.interval.low, speed.speedup.interval.high),
         speed.expert ? fmt::format("{:.3g}x", speed.speedup.value / speed.expert->value) : "-"});
  }
  if (checks.rows() > 0) fmt::print("\n--- cases\n{}", checks.text());
  if (timed.rows() > 0) fmt::print("\n{}", timed.text());
  for (const CaseSummary& row : cases)
    if (!row.notes.empty()) fmt::print("\n{}: {}\n", row.name, printable(row.notes));
}

Result<void> show_evaluation(const Store& store, int64_t id) {
  ASSIGN_OR_RETURN(const auto evaluation, store.find(id));
  if (!evaluation) return {};
  ASSIGN_OR_RETURN(const std::string code, store.blob(evaluation->source_digest));
  if (!code.empty()) fmt::print("\n--- code\n{}", numbered(code));
  fmt::print("\n--- verdict: {} {}\n", name(evaluation->outcome), evaluation->reason);
  if (!evaluation->explanation.empty()) fmt::print("{}\n", printable(evaluation->explanation));
  ASSIGN_OR_RETURN(const auto diagnostics, store.diagnostics(id));
  show_diagnostics(diagnostics);
  ASSIGN_OR_RETURN(const auto kernels, store.kernels(id));
  show_kernels(kernels);
  ASSIGN_OR_RETURN(const auto cases, store.cases(id));
  show_plans(cases);
  show_cases(cases);
  ASSIGN_OR_RETURN(const nlohmann::json isolation, isolation_of(store, id));
  fmt::print("\nsandbox: {}\n", printable(isolation_text(isolation)));
  fmt::print("{}, compile {}, cases {}, all {}\n", evaluation->language,
             short_duration(evaluation->compile_ms), short_duration(evaluation->check_ms),
             short_duration(evaluation->wall_ms));
  return {};
}

/// In which language the candidates of a sample were asked for.
Result<std::string_view> asked_language(const RunStore& runs, const SampleRow& sample) {
  ASSIGN_OR_RETURN(const std::vector<RunRow> rows, runs.runs());
  const auto run = std::ranges::find(rows, sample.run_id, &RunRow::id);
  if (run == rows.end()) return Error{ErrorKind::internal, "a sample without a run"};
  return title(language_of(*run));
}

Result<int> show_sample(std::string folder, int64_t id, bool prompts) {
  if (folder.empty()) {
    ASSIGN_OR_RETURN(const auto newest, newest_run("runs"));
    folder = newest.string();
  }
  if (!std::filesystem::exists(std::filesystem::path(folder) / "results.sqlite"))
    return Error{ErrorKind::not_found, folder + " is no run directory (it has no results.sqlite)"};
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
  RunStore runs(*store);
  ASSIGN_OR_RETURN(const auto sample, runs.sample(id));
  if (!sample)
    return Error{
        ErrorKind::not_found,
        fmt::format("{} has no sample {}; assay runs show {} lists them", folder, id, folder)};
  ASSIGN_OR_RETURN(const std::string_view language, asked_language(runs, *sample));
  fmt::print("{}: sample {}: task {}, number {}, asked for in {}, {}{}\n", folder, id,
             sample->task_id, sample->number, language, name(sample->state),
             sample->failure.empty() ? "" : ": " + printable(sample->failure));
  ASSIGN_OR_RETURN(const auto turns, runs.turns(id));
  for (const TurnRow& turn : turns) {
    fmt::print("\n=== turn {} ({}{}){}: {} tokens, answered in {}{}\n", turn.number, turn.kind,
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
    if (turn.evaluation_id) RETURN_IF_ERROR(show_evaluation(*store, *turn.evaluation_id));
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
      "show", "Print one sample of a run: prompt, answer, code, diagnostics, plan, timings.");
  command->add_option("sample", arguments->sample, "Its number (assay runs show DIR)")->required();
  command->add_option("--run", arguments->run, "Run directory; by default the newest under ./runs");
  command->add_flag("--no-prompt", arguments->no_prompt, "Leave the prompts out");
  command->callback([arguments, &status] {
    const Result<int> result =
        show_sample(arguments->run, arguments->sample, !arguments->no_prompt);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
