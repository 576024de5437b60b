// assay-steps: runs the programs of one compilation inside the sandbox.
// assay-steps --watch PROGRAM [ARGUMENTS]: runs one that the host compiler's driver starts.
//
// Theory of operation. A compilation is half a dozen programs, some of which can run side by side
// (device and host pass) and pass large files to each other. Starting a sandbox for each would copy
// those files in and out, so one sandbox holds them all and this small program is its first: it
// reads steps.json from the work folder, starts every step whose predecessors have succeeded,
// waits, and goes on until nothing more can be started. A step that fails does not stop the ones
// beside it, because their diagnostics are wanted too; what comes after it is skipped. The results
// go to steps.result.json. Nothing here decides anything about the candidate: the caller, outside,
// reads the results and the files as untrusted data.
//
// The host compiler's driver reports a killed cc1plus as it does a faulty source. So it starts its
// programs through this one (g++'s -wrapper), which leaves a mark for as long as a program has not
// ended by itself. Nothing of the candidate's runs here and no compiler sends SIGKILL, so a mark
// that is left says that somebody outside did. One of those programs, collect2, starts the linker
// itself; it finds this program under a name by which it looks for linkers.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "evaluator/compile/steps.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

class Runner {
 public:
  explicit Runner(std::vector<Step> steps) : steps_(std::move(steps)) {
    for (const Step& step : steps_) results_[step.name] = {};
  }

  std::map<std::string, StepResult> run() {
    start_ready();
    while (!running_.empty()) {
      int status = 0;
      const pid_t pid = wait(&status);
      if (pid < 0) break;
      finish(pid, status);
      start_ready();
    }
    return results_;
  }

 private:
  double elapsed_ms() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin_).count();
  }

  StepResult::State state(const std::string& name) const {
    const auto found = results_.find(name);
    return found == results_.end() ? StepResult::State::skipped : found->second.state;
  }

  bool ready(const Step& step) const {
    return std::all_of(
               step.after.begin(), step.after.end(),
               [&](const auto& name) { return state(name) == StepResult::State::succeeded; }) &&
           std::none_of(step.behind.begin(), step.behind.end(), [&](const auto& name) {
             return state(name) == StepResult::State::skipped;
           });
  }

  void start_ready() {
    for (Step& step : steps_) {
      if (step.arguments.empty() || !ready(step)) continue;
      start(step);
      step.arguments.clear();  // started: never again
    }
  }

  void start(const Step& step) {
    std::vector<char*> arguments;
    for (const std::string& argument : step.arguments)
      arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (step.name + ".out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (step.name + ".err").c_str(), flags, 0600);
    pid_t pid = 0;
    StepResult& result = results_[step.name];
    result.start_ms = elapsed_ms();
    const int error = posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error == 0) {
      running_[pid] = step.name;
    } else {
      result.state = StepResult::State::failed;
      result.code = 127;
      std::fprintf(stderr, "assay-steps: cannot start %s: error %d\n", arguments[0], error);
    }
  }

  void finish(pid_t pid, int status) {
    const auto found = running_.find(pid);
    if (found == running_.end()) return;
    StepResult& result = results_[found->second];
    result.ms = elapsed_ms() - result.start_ms;
    if (WIFSIGNALED(status)) {
      result.state = StepResult::State::killed;
      result.code = WTERMSIG(status);
    } else {
      result.code = WEXITSTATUS(status);
      result.state = result.code == 0 ? StepResult::State::succeeded : StepResult::State::failed;
    }
    running_.erase(found);
  }

  std::vector<Step> steps_;
  std::map<std::string, StepResult> results_;
  std::map<pid_t, std::string> running_;
  Clock::time_point begin_ = Clock::now();
};

constexpr const char* kMark = "running.";

constexpr const char* kLinkerFolder = "linker";
constexpr const char* kLinkerName = "collect-ld";

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// Makes collect2, started from here, start its linker through `self` as well.
void offer_linker(const std::string& self) {
  std::error_code ignored;  // made by an earlier one
  std::filesystem::create_directory(kLinkerFolder, ignored);
  std::filesystem::create_symlink(self, std::filesystem::path(kLinkerFolder) / kLinkerName,
                                  ignored);
  setenv("COMPILER_PATH", kLinkerFolder, 1);
}

int watch(const char* self, char** arguments) {
  if (base_name(arguments[0]) == "collect2") offer_linker(self);
  const std::string mark = kMark + std::to_string(getpid());
  close(open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments, environ);
  int status = 0;
  while (error == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) unlink(mark.c_str());
  if (error != 0) std::fprintf(stderr, "cannot start %s: error %d\n", arguments[0], error);
  if (WIFSIGNALED(status)) raise(WTERMSIG(status));
  return error != 0 ? 127 : WEXITSTATUS(status);
}

bool marks_are_left() {
  const std::filesystem::directory_iterator files(".");
  return std::any_of(begin(files), end(files), [](const auto& file) {
    return file.path().filename().string().starts_with(kMark);
  });
}

}  // namespace
}  // namespace assay

int main(int count, char** arguments) {
  if (assay::base_name(arguments[0]) == assay::kLinkerName) {
    char linker[] = "ld";
    arguments[0] = linker;
    return assay::watch("", arguments);
  }
  if (count > 2 && std::string_view(arguments[1]) == "--watch")
    return assay::watch(arguments[0], arguments + 2);
  std::ifstream file(assay::kStepsFile, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto steps = assay::steps_from_json(text);
  if (!steps.ok()) {
    std::fprintf(stderr, "assay-steps: %s\n", steps.error().message.c_str());
    return 2;
  }
  const auto results = assay::Runner(*std::move(steps)).run();
  std::ofstream(assay::kStepResultsFile, std::ios::binary) << assay::results_to_json(results);
  if (!assay::marks_are_left()) return 0;
  std::fprintf(stderr, "a program of the host compiler was killed from outside\n");
  return 1;
}
