// assay doctor: what this machine has, and what will not work without the rest.
#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <thread>

#include "base/install.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "evaluator/compile/compiler.h"
#include "evaluator/triton/installation.h"
#include "reports/facts.h"
#include "sandbox/sandbox.h"
#include "tasks/task.h"

namespace assay {

namespace {

void line(bool present, const std::string& what, const std::string& detail) {
  fmt::print("{}  {:<12} {}\n", present ? "ok     " : "missing", what, detail);
}

void toolchain_line() {
  const auto compiler = Compiler::create();
  if (compiler.ok())
    line(true, "compiler", (*compiler)->toolchain());
  else
    line(false, "compiler", compiler.error().message + "; nothing can be evaluated without it");
}

void sandbox_lines() {
  const bool usual = sandbox::require(sandbox::Requirement::namespaces).ok();
  line(usual, "sandbox", isolation_text(isolation_json()));
  if (!usual && sandbox::require(sandbox::Requirement::none).ok())
    fmt::print("         programs run only with --require-sandbox none\n");
}

void task_line() {
  const auto catalogue = load_catalogue();
  if (!catalogue.ok()) return line(false, "tasks", catalogue.error().message);
  line(catalogue->errors.empty(), "tasks",
       fmt::format("{} tasks in {} suites", catalogue->tasks.size(), catalogue->suites.size()));
  for (const Error& error : catalogue->errors) fmt::print("         - {}\n", error.message);
}

void triton_line() {
  const auto installation = triton::find_installation();
  line(installation.ok(), "Triton",
       installation.ok() ? fmt::format("{} ({})", installation->version,
                                       installation->python.parent_path().parent_path().string())
                         : installation.error().message + "; .py candidates need it, nothing else");
}

void gpu_line() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  line(driver != nullptr, "GPU driver",
       driver ? "libcuda.so.1"
              : "no libcuda.so.1: --device virtual works (verdicts, no speed scores), cuda:N does "
                "not");
  if (driver) dlclose(driver);
}

}  // namespace

void add_doctor_command(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Print what this machine has, and what will not work without the rest.");
  command->callback([&status] {
    line(true, "processor", fmt::format("{} cores", std::thread::hardware_concurrency()));
    toolchain_line();
    sandbox_lines();
    for (const char* file :
         {"bin/assay-runner", "bin/assay-recorder", "lib/record/libcudart.so.13"})
      if (const auto path = installed_file(file); !path.ok())
        line(false, "program", path.error().message);
    triton_line();
    task_line();
    gpu_line();
    const bool oracle = std::filesystem::exists("/usr/bin/bwrap");
    line(oracle, "bubblewrap",
         oracle ? "only the sandbox tests and benchmark compare with it"
                : "the sandbox tests skip their comparison with it");
    status = kEvaluated;
  });
}

}  // namespace assay
