// What a sandboxed process costs over a plain one: median and 95th percentile of the time to start
// /usr/bin/true, wait for it and remove every trace, beside bubblewrap where it is installed.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace {

using assay::sandbox::Policy;

constexpr int kWarmUp = 10;
constexpr int kRuns = 50;
constexpr double kGoalMs = 6;

struct Sample {
  double median_ms = 0;
  double p95_ms = 0;
};

Sample measure(const std::function<bool()>& once) {
  std::vector<double> times_ms;
  for (int i = 0; i < kWarmUp + kRuns; ++i) {
    const auto began = std::chrono::steady_clock::now();
    if (!once()) return {};
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - began;
    if (i >= kWarmUp) times_ms.push_back(time.count());
  }
  std::sort(times_ms.begin(), times_ms.end());
  return {times_ms[kRuns / 2], times_ms[kRuns * 95 / 100]};
}

bool spawn(std::vector<std::string> arguments) {
  std::vector<char*> list;
  for (std::string& argument : arguments) list.push_back(argument.data());
  list.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t child = -1;
  if (posix_spawn(&child, list[0], nullptr, nullptr, list.data(), environment) != 0) return false;
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool run(Policy policy) {
  assay::sandbox::Command command;
  command.arguments = {"/usr/bin/true"};
  const auto outcome = assay::sandbox::run(command, {}, policy);
  return outcome.ok() && outcome->exit == assay::sandbox::Exit::exited && outcome->code == 0;
}

/// `plain_ms`: the time without a sandbox; 0 where this is it.
Sample print(const std::string& name, const std::function<bool()>& once, double plain_ms = 0) {
  const Sample sample = measure(once);
  if (sample.median_ms == 0) {
    fmt::print("{:<44} does not work here\n", name);
  } else {
    fmt::print("{:<44} {:6.2f} {:6.2f} {}\n", name, sample.median_ms, sample.p95_ms,
               plain_ms == 0 ? "" : fmt::format("{:+6.2f}", sample.median_ms - plain_ms));
  }
  return sample;
}

}  // namespace

int main() {
  const assay::sandbox::Isolation& isolation = assay::sandbox::isolation();
  fmt::print("isolation: tier {}, Landlock ABI {}, cgroup {}, {} degradations\n", isolation.tier,
             isolation.landlock_abi, isolation.cgroup.empty() ? "none" : isolation.cgroup,
             isolation.degraded.size());
  fmt::print("{:<44} median    p95  added   (ms, {} runs)\n", "", kRuns);
  const double plain_ms = print("posix_spawn", [] { return spawn({"/usr/bin/true"}); }).median_ms;
  double worst_ms = 0;
  for (const auto& [name, policy] : {std::pair("sandbox, compiler", Policy::compiler),
                                     {"sandbox, recorder", Policy::recorder},
                                     {"sandbox, python", Policy::python},
                                     {"sandbox, gpu_runner", Policy::gpu_runner}}) {
    const Sample sample = print(
        name, [policy = policy] { return run(policy); }, plain_ms);
    worst_ms = std::max(worst_ms, sample.median_ms - plain_ms);
  }
  if (access("/usr/bin/bwrap", X_OK) == 0) {
    print(
        "bwrap, host's files, all namespaces",
        [] {
          return spawn({"/usr/bin/bwrap", "--ro-bind", "/", "/", "--unshare-all", "/usr/bin/true"});
        },
        plain_ms);
    print(
        "bwrap, own view, no filter, no limits",
        [] {
          return spawn({"/usr/bin/bwrap", "--unshare-all", "--ro-bind",  "/usr",         "/usr",
                        "--symlink",      "usr/bin",       "/bin",       "--symlink",    "usr/lib",
                        "/lib",           "--symlink",     "usr/lib64",  "/lib64",       "--dev",
                        "/dev",           "--tmpfs",       "/box",       "--chdir",      "/box",
                        "--cap-drop",     "ALL",           "--clearenv", "/usr/bin/true"});
        },
        plain_ms);
  }
  fmt::print("goal: at most {} ms added; worst here {:.2f} ms\n", kGoalMs, worst_ms);
  return worst_ms > 0 && worst_ms <= kGoalMs ? 0 : 1;
}
