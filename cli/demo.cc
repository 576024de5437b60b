// assay demo: the main job on the virtual device, on what is built in.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/files.h"
#include "base/install.h"
#include "cli/batch.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "cli/sandbox_option.h"
#include "reports/page.h"
#include "reports/results.h"
#include "reports/table.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

/// Wrong candidates that show different verdicts, from cli/demo: (task, file).
constexpr std::pair<const char*, const char*> kWrong[] = {
    {"vector-add", "off_by_one.cu"},     {"vector-add", "syntax_error.cu"},
    {"vector-add", "host_read_back.cu"}, {"row-softmax", "missing_barrier.cu"},
    {"histogram", "racing_counts.cu"},   {"matmul", "endless_loop.cu"},
    {"gather", "out_of_bounds.cu"},      {"transpose-padded", "unwritten_padding.cu"},
};

struct DemoArguments {
  std::string out;
  std::string require_sandbox = kUsualSandbox;
};

Result<int> demo(const DemoArguments& arguments) {
  const std::string& out = arguments.out;
  RETURN_IF_ERROR(check_sandbox(arguments.require_sandbox));
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const fs::path wrong_folder, data_folder("cli/demo"));
  std::vector<BatchItem> items;
  for (const Task& task : catalogue.tasks) {
    if (task.suite != "starter") continue;
    for (const char* kernel : {"naive", "expert"}) {
      ASSIGN_OR_RETURN(Candidate candidate, Evaluator::reference_kernel(task, kernel));
      items.push_back({&task, std::move(candidate)});
    }
  }
  for (const auto& [id, file] : kWrong) {
    const auto task = std::ranges::find(catalogue.tasks, id, &Task::id);
    if (task == catalogue.tasks.end()) continue;
    ASSIGN_OR_RETURN(std::string source, read_file(wrong_folder / file));
    items.push_back({&*task, Candidate{file, std::move(source), false}});
  }

  const fs::path folder = out.empty() ? default_run_folder("demo") : fs::path(out);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
  BatchOptions options;
  options.evaluate.run.deadline_seconds = 5;
  options.evaluate.run.instruction_budget = 2'000'000'000;
  fmt::print("Evaluating {} candidates of suite starter on the virtual device...\n\n",
             items.size());
  std::fflush(stdout);
  ASSIGN_OR_RETURN(const auto rows, run_batch(items, options, *store));

  ASSIGN_OR_RETURN(const std::string page, html_page(*store, "assay demo"));
  const fs::path report = folder / "report.html";
  RETURN_IF_ERROR(write_file(report, page));
  const size_t width = terminal_width(STDOUT_FILENO);
  fmt::print(
      "{}\nerror/bound: the largest error over what the task allows; below 1 is right.\n"
      "run directory: {}\nreport:        {}\n",
      results_table(rows, width == 0 ? 160 : width), folder.string(), report.string());
  for (const EvaluationSummary& row : rows)
    if (row.outcome == Outcome::harness_error) return kHarnessError;
  return kEvaluated;
}

}  // namespace

void add_demo_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<DemoArguments>();
  CLI::App* command = app.add_subcommand(
      "demo", "Evaluate built-in right and wrong kernels on the virtual device; no GPU needed.");
  command->add_option("--out", arguments->out, "Run directory; by default a new one under ./runs");
  add_sandbox_option(*command, arguments->require_sandbox);
  command->callback([arguments, &status] {
    const Result<int> result = demo(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
