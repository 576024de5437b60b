// assay tasks: list, show, check, new, dump.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "cli/commands.h"
#include "cli/messages.h"
#include "evaluator/evaluate.h"
#include "evaluator/signature.h"
#include "evaluator/task_check.h"
#include "reports/progress.h"
#include "reports/table.h"
#include "tasks/new_task.h"
#include "tasks/npy.h"
#include "tasks/task.h"

namespace assay {

namespace {

struct TasksArguments {
  std::string id;
  std::string case_name;
  std::string out;
  std::string device = "virtual";
  uint64_t seed = 0;
  bool has_seed = false;
  bool json = false;
  bool mutants = false;
};

Result<int> list_tasks(const TasksArguments& arguments) {
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  if (arguments.json) {
    for (const Task& task : catalogue.tasks)
      fmt::print("{}\n", nlohmann::json{{"id", task.id},
                                        {"suite", task.suite},
                                        {"title", task.title},
                                        {"level", task.level},
                                        {"cases", task.cases.size()}}
                             .dump());
  } else {
    Table table({"task", "suite", "level", "cases", "title"}, {false, false, true, true, false});
    for (const Task& task : catalogue.tasks)
      table.add({task.id, task.suite, std::to_string(task.level), std::to_string(task.cases.size()),
                 task.title});
    fmt::print("{}", table.text(terminal_width(STDOUT_FILENO)));
  }
  for (const Error& error : catalogue.errors) (void)report(error);
  return catalogue.errors.empty() ? kEvaluated : kUsage;
}

Result<int> show_task(const TasksArguments& arguments) {
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const Task task, find_task(catalogue, arguments.id));
  fmt::print("{} (suite {}, level {}): {}\nfolder: {}\n\n{}\n\n", task.id, task.suite, task.level,
             task.title, task.folder.string(), task.statement);
  for (const Language language : kLanguages)
    fmt::print("{:<9} {}\n", std::string(title(language)) + ":", signature(task, language));
  fmt::print("\n");
  Table table({"case", "role", "virtual", "tensors"});
  for (const CaseSpec& spec : task.cases) {
    ASSIGN_OR_RETURN(const BoundCase bound, bind(task, spec));
    std::string tensors;
    for (const BoundTensor& tensor : bound.tensors)
      tensors += fmt::format("{}{} {}[{}]", tensors.empty() ? "" : ", ", tensor.name,
                             name(tensor.dtype), fmt::join(tensor.shape, ","));
    table.add({spec.name, spec.role == Role::timed ? "timed" : "test",
               spec.on_virtual ? "yes" : "no", tensors});
  }
  fmt::print("{}", table.text());
  return kEvaluated;
}

/// The kill rate of a task's generic mutants, and the mutants that were judged correct.
Result<void> report_mutants(Evaluator& evaluator, const Task& task) {
  constexpr size_t kMost = 14;  // of a task: about two of each kind of fault
  Progress progress(1);
  ASSIGN_OR_RETURN(const MutantCheck check,
                   check_mutants(evaluator, task, kMost, [&](Stage, const std::string& case_name) {
                     progress.now(task.id + " mutants " + case_name);
                   }));
  fmt::print("    mutants: {} of {} killed, {} did not compile\n", check.killed, check.counted(),
             check.stillborn);
  for (const KernelMutant& mutant : check.survivors)
    fmt::print("    survives: {}, reference.cu:{}: {}\n", mutant.fault, mutant.line, mutant.text);
  return {};
}

Result<int> check_tasks(const TasksArguments& arguments) {
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  std::vector<Task> tasks;
  if (arguments.id.empty()) {
    tasks = catalogue.tasks;
  } else {
    ASSIGN_OR_RETURN(Task task, find_task(catalogue, arguments.id));
    tasks.push_back(std::move(task));
  }
  for (const Error& error : catalogue.errors) (void)report(error);

  Evaluator::Options options;
  options.device = arguments.device;
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator, Evaluator::create(options));
  bool all_passed = catalogue.errors.empty() || !arguments.id.empty();
  for (const Task& task : tasks) {
    Progress progress(1);
    ASSIGN_OR_RETURN(const TaskCheck check,
                     check_task(*evaluator, task, [&](Stage, const std::string& case_name) {
                       progress.now(task.id + " " + case_name);
                     }));
    all_passed = all_passed && check.passed();
    fmt::print("{}  {}  (largest error {:.2g} of the bound)\n",
               check.passed() ? "ok    " : "BROKEN", task.id, check.margin);
    for (const TaskFinding& finding : check.findings)
      if (!finding.ok || !arguments.id.empty())
        fmt::print("    {} {}: {}\n", finding.ok ? "+" : "-", finding.rule, finding.detail);
    if (arguments.mutants) RETURN_IF_ERROR(report_mutants(*evaluator, task));
  }
  return all_passed ? kEvaluated : kUsage;
}

Result<int> dump_case(const TasksArguments& arguments) {
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const Task task, find_task(catalogue, arguments.id));
  const auto spec = std::ranges::find(task.cases, arguments.case_name, &CaseSpec::name);
  if (spec == task.cases.end()) {
    std::string known;
    for (const CaseSpec& other : task.cases) known += (known.empty() ? "" : ", ") + other.name;
    return Error{ErrorKind::usage, fmt::format("task {} has no case '{}'; its cases are {}",
                                               task.id, arguments.case_name, known)};
  }
  ASSIGN_OR_RETURN(const BoundCase bound, bind(task, *spec));
  Evaluator::Options options;
  options.device = arguments.device;
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator, Evaluator::create(options));
  ASSIGN_OR_RETURN(const CheckReport report, evaluator->run_reference(task, bound, arguments.seed));
  CaseBytes bytes;
  bytes.inputs = report.inputs;
  bytes.expected = report.expected;
  RETURN_IF_ERROR(write_case(bound, bytes, arguments.seed, arguments.out));
  fmt::print("{}\n", arguments.out);
  return kEvaluated;
}

Result<int> new_task(const TasksArguments& arguments) {
  ASSIGN_OR_RETURN(const std::vector<std::filesystem::path> files,
                   create_task(arguments.id, arguments.out));
  for (const auto& file : files) fmt::print("{}\n", file.string());
  return kEvaluated;
}

}  // namespace

void add_tasks_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<TasksArguments>();
  CLI::App* command = app.add_subcommand("tasks", "List, show, check, create and dump tasks.");
  command->require_subcommand(1);
  const auto callback = [arguments, &status](Result<int> (*action)(const TasksArguments&)) {
    return [arguments, &status, action] {
      const Result<int> result = action(*arguments);
      status = result.ok() ? *result : report(result.error());
    };
  };
  const auto device_option = [&](CLI::App* sub) {
    sub->add_option("--device", arguments->device, "virtual, or cuda:N")->capture_default_str();
  };

  CLI::App* list = command->add_subcommand("list", "All tasks, with suite and level.");
  list->add_flag("--json", arguments->json, "JSON lines");
  list->callback(callback(list_tasks));

  CLI::App* show = command->add_subcommand("show", "One task: statement, signature, cases.");
  show->add_option("id", arguments->id, "Task id, or the path of a task folder")->required();
  show->callback(callback(show_task));

  CLI::App* check = command->add_subcommand(
      "check",
      "Whether tasks may judge anybody: outputs that depend on every input and on the "
      "seed, vary and are finite, and kernels that agree.");
  check->add_option("id", arguments->id, "Task id; by default all tasks");
  check->add_flag("--mutants", arguments->mutants,
                  "Also put common faults into reference.cu, and print how many are noticed");
  device_option(check);
  check->callback(callback(check_tasks));

  CLI::App* create = command->add_subcommand("new", "A new task folder and kernels to edit.");
  create->add_option("id", arguments->id, "Id: lower-case letters, digits and dashes")->required();
  create->add_option("--suite", arguments->out, "Suite that the task joins (created if new)")
      ->default_val("my-suite");
  create->callback(callback(new_task));

  CLI::App* dump = command->add_subcommand(
      "dump", "Write a case's inputs and expected outputs as .npy, with a manifest.json.");
  dump->add_option("id", arguments->id, "Task id")->required();
  dump->add_option("--case", arguments->case_name, "Case name")->required();
  dump->add_option("--seed", arguments->seed, "Seed of the inputs")->capture_default_str();
  dump->add_option("--out", arguments->out, "Folder to write to (created)")->required();
  device_option(dump);
  dump->callback(callback(dump_case));
}

}  // namespace assay
