// assay eval: candidates of one task, to verdicts.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "base/files.h"
#include "cli/batch.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "cli/sandbox_option.h"
#include "cli/timing_option.h"
#include "reports/page.h"
#include "reports/results.h"
#include "reports/table.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

struct EvalArguments {
  std::string task;
  std::vector<std::string> files;
  std::string device = "virtual";
  std::string timing;
  std::string arch = "sm_90";
  std::vector<std::string> cases;
  uint64_t seed = 0;
  bool has_seed = false;
  int repeats = 2;
  int jobs = 0;
  bool json = false;
  bool keep_plan = false;
  double deadline_seconds = 60;
  std::string out;
  std::string dump;
  std::string require_sandbox = kUsualSandbox;
};

/// A file's candidate, or, for "reference:naive", a reference kernel of the task. Files that end
/// in neither .cu nor .py hold a model's whole answer.
Result<Candidate> load_candidate(const Task& task, const std::string& file) {
  constexpr std::string_view kPrefix = "reference:";
  if (file.starts_with(kPrefix))
    return Evaluator::reference_kernel(task, file.substr(kPrefix.size()));
  // Larger than any candidate may be, so that the verdict (rejected) comes from the compiler.
  ASSIGN_OR_RETURN(std::string source, read_file(file, size_t{64} << 20));
  const fs::path extension = fs::path(file).extension();
  return Candidate{fs::path(file).filename().string(), std::move(source),
                   extension != ".cu" && extension != ".py"};
}

Result<void> check_cases(const Task& task, const std::vector<std::string>& names) {
  for (const std::string& wanted : names) {
    std::string known;
    bool found = false;
    for (const CaseSpec& spec : task.cases) {
      found = found || spec.name == wanted;
      known += (known.empty() ? "" : ", ") + spec.name;
    }
    if (!found)
      return Error{ErrorKind::usage, fmt::format("task {} has no case '{}'; its cases are {}",
                                                 task.id, wanted, known)};
  }
  return {};
}

Result<int> eval(const EvalArguments& arguments) {
  RETURN_IF_ERROR(check_sandbox(arguments.require_sandbox));
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const Task task, find_task(catalogue, arguments.task));
  RETURN_IF_ERROR(check_cases(task, arguments.cases));
  std::vector<BatchItem> items;
  for (const std::string& file : arguments.files) {
    ASSIGN_OR_RETURN(Candidate candidate, load_candidate(task, file));
    items.push_back({&task, std::move(candidate)});
  }

  BatchOptions options;
  options.jobs = arguments.jobs;
  options.dump = arguments.dump;
  options.evaluator.device = arguments.device;
  options.evaluator.arch = arguments.arch;
  options.evaluate.cases = arguments.cases;
  if (arguments.has_seed) options.evaluate.seed = arguments.seed;
  options.evaluate.repeats = arguments.repeats;
  ASSIGN_OR_RETURN(options.evaluate.budget, timing_budget(arguments.timing, arguments.device));
  options.evaluate.run.deadline_seconds = arguments.deadline_seconds;
  options.evaluate.keep_plan = arguments.keep_plan;
  options.evaluate.keep_outputs = options.evaluate.keep_expected = !arguments.dump.empty();

  const fs::path folder =
      arguments.out.empty() ? default_run_folder("eval") : fs::path(arguments.out);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
  ASSIGN_OR_RETURN(const auto rows, run_batch(items, options, *store));

  if (arguments.json || !isatty(STDOUT_FILENO)) {
    for (const EvaluationSummary& row : rows) {
      ASSIGN_OR_RETURN(const nlohmann::json line, result_json(*store, row));
      fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
  } else {
    fmt::print("{}\nrun directory: {}\n", results_table(rows, terminal_width(STDOUT_FILENO)),
               folder.string());
  }
  for (const EvaluationSummary& row : rows)
    if (row.outcome == Outcome::harness_error) return kHarnessError;
  return kEvaluated;
}

}  // namespace

void add_eval_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<EvalArguments>();
  CLI::App* command =
      app.add_subcommand("eval", "Evaluate candidates of a task: compile, record, replay, check.");
  command->footer(
      "Example: assay eval vector-add my_kernel.cu reference:naive\n"
      "A table on a terminal, JSON lines otherwise. The same command with the same --out\n"
      "finishes what is missing and repeats nothing.");
  command->add_option("task", arguments->task, "Task id, or the path of a task folder")->required();
  command
      ->add_option("files", arguments->files,
                   "Candidates: .cu files (CUDA), .py files (Triton); other files are taken as a "
                   "model's answer; "
                   "reference:naive, reference:expert and reference:reference are the task's own")
      ->required();
  command
      ->add_option("--device", arguments->device,
                   "virtual, cuda:N, several with commas, or cuda for all GPUs")
      ->capture_default_str();
  add_timing_option(*command, arguments->timing);
  command
      ->add_option("--arch", arguments->arch,
                   "Architecture of the virtual device; a GPU has its own")
      ->capture_default_str();
  command->add_option("--cases", arguments->cases, "Case names; by default all test cases")
      ->delimiter(',');
  command->add_option_function<uint64_t>(
      "--seed",
      [arguments](const uint64_t& seed) {
        arguments->seed = seed;
        arguments->has_seed = true;
      },
      "Seed of the inputs, to repeat an evaluation; by default secret and random");
  command->add_option("--repeats", arguments->repeats, "Runs on the same input")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  command->add_option("--deadline", arguments->deadline_seconds, "Seconds one replay may take")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_option("--jobs", arguments->jobs, "Evaluations at once; by default one a core")
      ->check(CLI::Range(0, 256));
  command->add_flag("--json", arguments->json, "JSON lines, also on a terminal");
  command->add_flag("--keep-plan", arguments->keep_plan, "Keep each case's launch plan as a blob");
  command->add_option("--dump", arguments->dump,
                      "Write inputs, expected and returned outputs of every case here as .npy");
  command->add_option("--out", arguments->out, "Run directory; by default a new one under ./runs");
  add_sandbox_option(*command, arguments->require_sandbox);
  command->callback([arguments, &status] {
    const Result<int> result = eval(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
