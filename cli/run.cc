// assay run: a suite and agents, to a result table.
#include "cli/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "agents/command_agent.h"
#include "agents/http/json.h"
#include "agents/run/coordinator.h"
#include "base/digest.h"
#include "cli/batch.h"
#include "cli/commands.h"
#include "cli/language_option.h"
#include "cli/messages.h"
#include "cli/model_options.h"
#include "cli/sandbox_option.h"
#include "cli/timing_option.h"
#include "reports/facts.h"
#include "reports/run_report.h"
#include "reports/table.h"
#include "tasks/nearest.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

std::atomic<int> interrupts{0};

void on_interrupt(int) {
  if (interrupts.fetch_add(1) == 0) {
    static constexpr char kText[] = "\nassay: finishing what is in flight; again to stop at once\n";
    (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  } else {
    // The store is a journal: what was written stays whole.
    CommandAgent::kill_all();
    _exit(130);
  }
}

/// Draws a line on a terminal, or prints one now and then elsewhere.
class ProgressLine {
 public:
  ~ProgressLine() {
    if (drawn_) fmt::print(stderr, "\r\033[K");
  }
  /// Like note, on any thread.
  void show(const RunStatus& status) {
    const std::string line = text(status);
    const std::lock_guard lock(mutex_);
    if (width_ > 0) {
      fmt::print(stderr, "\r\033[K{}", line.substr(0, width_ - 1));
      drawn_ = true;
    } else if (status.elapsed_seconds - printed_at_ >= 10) {
      fmt::print(stderr, "{}\n", line);
      printed_at_ = status.elapsed_seconds;
    }
    std::fflush(stderr);
  }
  /// A line that stays.
  void note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    fmt::print(stderr, "{}assay: {}\n", drawn_ ? "\r\033[K" : "", line);
    std::fflush(stderr);
  }

 private:
  static std::string text(const RunStatus& status) {
    std::string line = fmt::format("{}/{}", status.done + status.failed, status.total);
    for (const auto& [verdict, count] : status.verdicts)
      line += fmt::format(" {}:{}", verdict, count);
    if (status.failed > 0) line += fmt::format(" failed:{}", status.failed);
    line += fmt::format("  asking {}, judging {}", status.generating, status.judging);
    if (status.tokens > 0)
      line += fmt::format(", {} tokens", short_count(static_cast<uint64_t>(status.tokens)));
    if (status.dollars > 0 || !status.dollars_known)
      line += fmt::format(", {}${:.2f}", status.dollars_known ? "" : "at least ", status.dollars);
    if (status.rate_limits > 0) line += fmt::format(", 429s: {}", status.rate_limits);
    line += fmt::format(", device {:.0f} %", 100 * std::min(1.0, status.device_busy));
    if (status.eta_seconds >= 0)
      line += fmt::format(", {} left", short_duration(1000 * status.eta_seconds));
    if (!status.trouble.empty()) line += "; " + status.trouble;
    return line;
  }

  const size_t width_ = terminal_width(STDERR_FILENO);
  std::mutex mutex_;
  double printed_at_ = 0;
  bool drawn_ = false;
};

Result<std::vector<const Task*>> tasks_of(const Catalogue& catalogue,
                                          const RunArguments& arguments) {
  std::vector<std::string> suites;
  for (const auto& [suite, ids] : catalogue.suites) suites.push_back(suite);
  if (!catalogue.suites.contains(arguments.suite))
    return Error{ErrorKind::usage,
                 fmt::format("there is no suite {}; there are {}{}", in_quotes(arguments.suite),
                             listed(suites), suggestion(arguments.suite, suites))};
  std::vector<const Task*> tasks;
  std::vector<std::string> ids;
  for (const Task& task : catalogue.tasks) {
    if (task.suite != arguments.suite) continue;
    ids.push_back(task.id);
    if (arguments.tasks.empty() || std::ranges::count(arguments.tasks, task.id) > 0)
      tasks.push_back(&task);
  }
  for (const std::string& wanted : arguments.tasks)
    if (std::ranges::count(ids, wanted) == 0)
      return Error{ErrorKind::usage, fmt::format("suite {} has no task {}{}", arguments.suite,
                                                 in_quotes(wanted), suggestion(wanted, ids))};
  if (tasks.empty())
    return Error{ErrorKind::usage, fmt::format("suite {} has no tasks", arguments.suite)};
  return tasks;
}

Result<LoopOptions> loop_options(const RunArguments& arguments) {
  LoopOptions options;
  RETURN_IF_ERROR(make_loop(arguments.loop, options));
  for (const LoopKind& kind : loop_kinds())
    if (kind.name == arguments.loop) options.turns = kind.default_turns;
  if (arguments.turns > 0) options.turns = arguments.turns;
  if (arguments.loop == "single") options.turns = 1;
  options.stop_when_correct = arguments.stop_when_correct;
  return options;
}

/// Everything that shapes the answers of one agent: the same again is the same run.
RunRow run_row(const RunArguments& arguments, const Agent& agent, const LoopOptions& loop,
               const PromptBook& prompts, const Evaluator& evaluator,
               const EvaluateOptions& evaluate) {
  RunRow row;
  row.agent = agent.name();
  row.loop = arguments.loop;
  row.suite = arguments.suite;
  row.device_id = evaluator.device().id;
  row.arch = arguments.arch;
  nlohmann::json settings = {
      {"agent", nlohmann::json::parse(agent.settings_json(), nullptr, false)},
      {"language", name(arguments.language)},
      {"turns", loop.turns},
      {"stop_when_correct", loop.stop_when_correct},
      {"prompts", prompts.digest()},
      {"evaluate", options_text(evaluate)}};
  row.settings = json_text(settings);
  row.command = json_text(to_json(arguments));
  row.key = Digest()
                .add(row.agent)
                .add(row.loop)
                .add(row.suite)
                .add(row.settings)
                .add(row.device_id)
                .add(row.arch)
                .hex();
  return row;
}

/// A run directory has one language: without this, the command that forgot --language would not go
/// on with what is there but ask for all of it again.
Result<void> check_language(const RunStore& runs, Language language) {
  ASSIGN_OR_RETURN(const std::vector<RunRow> rows, runs.runs());
  for (const RunRow& row : rows)
    if (const Language kept = language_of(row); kept != language)
      return Error{
          ErrorKind::usage,
          fmt::format("{} holds a run in {}: go on with --language {}, or give another "
                      "--out for {}",
                      runs.store().folder().string(), title(kept), name(kept), title(language))};
  return {};
}

}  // namespace

nlohmann::json to_json(const RunArguments& a) {
  nlohmann::json json = {{"suite", a.suite},
                         {"tasks", a.tasks},
                         {"agents", a.agents},
                         {"language", name(a.language)},
                         {"loop", a.loop},
                         {"samples", a.samples},
                         {"turns", a.turns},
                         {"stop_when_correct", a.stop_when_correct},
                         {"device", a.device},
                         {"timing", a.timing},
                         {"arch", a.arch},
                         {"jobs", a.jobs},
                         {"repeats", a.repeats},
                         {"deadline", a.deadline_seconds},
                         {"prompts", a.prompts},
                         {"budget", a.budget},
                         {"task_budget", a.task_budget}};
  add_to_json(a.agent, json);
  return json;
}

Result<RunArguments> run_arguments(const std::string& text) {
  RunArguments a;
  try {
    const auto json = nlohmann::json::parse(text);
    json.at("suite").get_to(a.suite);
    json.at("tasks").get_to(a.tasks);
    json.at("agents").get_to(a.agents);
    // Runs from before there was a choice name none.
    a.language = language_from_name(json.value("language", "")).value_or(Language::cuda);
    json.at("loop").get_to(a.loop);
    json.at("samples").get_to(a.samples);
    json.at("turns").get_to(a.turns);
    json.at("stop_when_correct").get_to(a.stop_when_correct);
    json.at("device").get_to(a.device);
    json.at("timing").get_to(a.timing);
    json.at("arch").get_to(a.arch);
    json.at("jobs").get_to(a.jobs);
    json.at("repeats").get_to(a.repeats);
    json.at("deadline").get_to(a.deadline_seconds);
    json.at("prompts").get_to(a.prompts);
    json.at("budget").get_to(a.budget);
    json.at("task_budget").get_to(a.task_budget);
    a.agent = agent_options_from(json);
  } catch (const nlohmann::json::exception& exception) {
    return Error{ErrorKind::invalid,
                 fmt::format("the run's stored command cannot be read: {}", exception.what())};
  }
  return a;
}

Result<int> run_agents(const RunArguments& arguments) {
  // Everything that can be wrong with the arguments is found before anything is asked for.
  RETURN_IF_ERROR(check_sandbox(arguments.require_sandbox));
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const std::vector<const Task*> tasks, tasks_of(catalogue, arguments));
  ASSIGN_OR_RETURN(const LoopOptions options, loop_options(arguments));
  ASSIGN_OR_RETURN(const std::unique_ptr<Loop> loop, make_loop(arguments.loop, options));
  ASSIGN_OR_RETURN(const PromptBook prompts, PromptBook::load(arguments.prompts));
  ASSIGN_OR_RETURN(const Budget budget, Budget::parse(arguments.budget));
  ASSIGN_OR_RETURN(const Budget task_budget, Budget::parse(arguments.task_budget));
  ProgressLine progress;
  AgentOptions agent_options = arguments.agent;
  agent_options.log = [&progress](const std::string& line) { progress.note(line); };
  std::vector<std::unique_ptr<Agent>> agents;
  for (const std::string& specification : arguments.agents) {
    ASSIGN_OR_RETURN(auto agent, make_agent(specification, agent_options));
    agents.push_back(std::move(agent));
  }

  const fs::path folder =
      arguments.out.empty() ? default_run_folder("run") : fs::path(arguments.out);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
  RunStore runs(*store);
  RETURN_IF_ERROR(check_language(runs, arguments.language));
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  Evaluator::Options evaluator_options;
  evaluator_options.device = arguments.device;
  evaluator_options.arch = arguments.arch;
  evaluator_options.runners = arguments.jobs > 0 ? arguments.jobs : cores;
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator,
                   Evaluator::create(evaluator_options));
  EvaluateOptions evaluate;
  evaluate.repeats = arguments.repeats;
  evaluate.language = arguments.language;
  ASSIGN_OR_RETURN(evaluate.budget, timing_budget(arguments.timing, arguments.device));
  evaluate.run.deadline_seconds = arguments.deadline_seconds;
  EvaluatorJudge judge(*evaluator, *store, evaluate, evaluator->arch());

  RunPlan plan;
  plan.tasks = tasks;
  plan.loop = loop.get();
  plan.prompts = &prompts;
  plan.device = evaluator->device();
  plan.language = arguments.language;
  plan.samples = arguments.samples;
  plan.turns = options.turns;
  plan.judges = evaluator_options.runners;
  plan.budget = budget;
  plan.task_budget = task_budget;
  plan.interrupts = &interrupts;
  plan.on_progress = [&](const RunStatus& status) { progress.show(status); };
  for (const auto& agent : agents) {
    ASSIGN_OR_RETURN(const RunRow row, runs.open_run(run_row(arguments, *agent, options, prompts,
                                                             *evaluator, evaluate)));
    plan.parts.push_back({agent.get(), row});
  }
  interrupts = 0;
  const auto previous = std::signal(SIGINT, on_interrupt);
  Coordinator coordinator(std::move(plan), runs, judge);
  Result<RunSummary> summary = coordinator.run();
  std::signal(SIGINT, previous);
  if (summary.ok() && summary->abandoned) {
    fmt::print(stderr, "assay: stopped; the same command goes on\n");
    CommandAgent::kill_all();
    std::_Exit(130);
  }
  if (!summary.ok()) return summary.error();

  ASSIGN_OR_RETURN(const ReportData data, load_report({folder}));
  std::vector<int> ks = {1};
  if (arguments.samples > 1) ks.push_back(arguments.samples);
  fmt::print("{}", report_text(data, report_rows(data, ks), ReportFormat::text,
                               terminal_width(STDOUT_FILENO)));
  fmt::print("run directory: {}\n", folder.string());
  for (const std::string& stopped : summary->stopped) fmt::print(stderr, "assay: {}\n", stopped);
  if (const int failed = summary->status.failed; failed > 0)
    fmt::print(stderr,
               "assay: {} without a verdict because of trouble that is not the agent's; assay runs "
               "show {} says which\n",
               failed == 1 ? "1 sample is" : fmt::format("{} samples are", failed),
               folder.string());
  if (summary->interrupted) return 130;
  // What is left because of trouble (not of a budget) is an error of this start.
  const bool trouble = std::ranges::any_of(summary->stopped, [](const std::string& text) {
    return text.find("budget reached") == std::string::npos;
  });
  return trouble || summary->status.failed > 0 ? kHarnessError : kEvaluated;
}

void add_run_command(CLI::App& app, int& status) {
  const auto a = std::make_shared<RunArguments>();
  CLI::App* command =
      app.add_subcommand("run", "Give a suite to agents and evaluate what comes back.");
  command->footer(
      "Example: assay run --suite starter --agent reference:naive --out runs/first\n"
      "The same command with the same --out finishes what is missing.\n\nAgents:\n" +
      agent_kinds());
  command->add_option("--suite", a->suite, "Suite (assay tasks list)")->required();
  command->add_option("--tasks", a->tasks, "Only these tasks of it")->delimiter(',');
  command->add_option("--agent", a->agents, "Agent; may be repeated")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_language_option(*command, a->language);
  command->add_option("--loop", a->loop, "single, refine, reflect, tree or evolve")
      ->capture_default_str();
  command->add_option("--samples", a->samples, "Samples of each task")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--turns", a->turns, "Candidates in a sample; by default the loop's own")
      ->check(CLI::Range(1, 10000));
  command->add_flag("--stop-when-correct", a->stop_when_correct,
                    "A sample ends with its first correct candidate");
  command
      ->add_option("--device", a->device,
                   "virtual, cuda:N, several with commas, or cuda for all GPUs")
      ->capture_default_str();
  add_timing_option(*command, a->timing);
  command->add_option("--arch", a->arch, "Architecture of the virtual device; a GPU has its own")
      ->capture_default_str();
  command->add_option("--out", a->out, "Run directory; by default a new one under ./runs");
  add_sandbox_option(*command, a->require_sandbox);
  command->add_option("--jobs", a->jobs, "Evaluations at once; by default one a core")
      ->check(CLI::Range(0, 256));
  command->add_option("--repeats", a->repeats, "Runs on the same input")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  command->add_option("--deadline", a->deadline_seconds, "Seconds one replay may take")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_option("--prompts", a->prompts,
                      "Folder with changed copies of prompt templates (docs/agents.md)");
  command->add_option("--budget", a->budget,
                      "Of each agent: samples, turns, tokens, dollars, wall, gpu, for example "
                      "dollars=5,wall=2h");
  command->add_option("--task-budget", a->task_budget, "The same, of each task");
  command->add_option("--command-jobs", a->agent.command_jobs, "Programs of cmd: agents at once")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_model_options(*command, a->agent);
  command->callback([a, &status] {
    const Result<int> result = run_agents(*a);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
