#include "sandbox/host.h"

#include <fmt/format.h>
#include <unistd.h>

#include "sandbox/landlock.h"
#include "sandbox/run.h"

namespace assay::sandbox {
namespace {

/// A trial run of the built-in self-test with these means.
Result<void> try_means(const Means& means, Policy policy) {
  Command command;
  command.arguments = {"/assay-self-test"};
  Limits limits;
  limits.work_bytes = size_t{1} << 20;
  ASSIGN_OR_RETURN(const std::unique_ptr<Run> run,
                   Run::launch(command, limits, policy, means, true));
  RETURN_IF_ERROR(run->await_start());
  const Outcome outcome = run->supervise();
  if (outcome.exit != Exit::exited)
    return Error{ErrorKind::sandbox, "the self-test did not run: " + outcome.explanation};
  if (outcome.code != 0)
    return Error{ErrorKind::sandbox,
                 fmt::format("the self-test could do what it must not (bits {:#x})", outcome.code)};
  return {};
}

/// Finds the strongest combination of namespaces and listener that works here.
void find_namespaces(Means& means, std::string& why) {
  for (const bool listener : {true, false}) {
    for (const bool user_namespace : {false, true}) {
      if (!user_namespace && geteuid() != 0) continue;
      means.listener = listener;
      means.user_namespace = user_namespace;
      const Result<void> tried = try_means(means, Policy::python);
      means.namespaces = tried.ok();
      if (means.namespaces) return;
      if (why.empty()) why = tried.error().message;
    }
  }
}

void describe(Means& means, const std::string& why) {
  Isolation& isolation = means.isolation;
  const auto lacks = [&](const char* property, const char* wanted, const char* got,
                         const std::string& reason) {
    isolation.degraded.push_back({property, wanted, got, reason});
  };
  isolation.namespaces = means.namespaces;
  isolation.seccomp = means.namespaces;
  isolation.landlock_abi = means.landlock_abi;
  isolation.tier = !means.namespaces ? 4 : means.user_namespace ? 2 : 1;
  isolation.cgroup = means.cgroups.v2_controls ? "v2" : means.cgroups.limits_memory() ? "v1" : "";
  if (!means.namespaces) {
    lacks("namespaces", "all", "none: programs are refused", why);
    return;
  }
  if (means.user_namespace)
    lacks("user id", "one of its own for each run", "the caller's, in a user namespace",
          why.empty() ? "assay does not run as root" : why);
  if (!means.listener)
    lacks("names of forbidden calls", "reported", "the program is killed without a name", why);
  if (means.landlock_abi == 0)
    lacks("Landlock", "ABI 3 or newer", "none", "the kernel does not have it");
  if (!means.processes)
    lacks("private /proc", "for device runners", "none", "procfs cannot be mounted here");
  if (!means.cgroups.limits_memory())
    lacks("memory limit", "by control group", "by polling, with RLIMIT_DATA", means.cgroups.why);
  if (!means.cgroups.limits_pids())
    lacks("process limit", "by control group", "RLIMIT_NPROC", means.cgroups.why);
  if (!means.cgroups.limits_processors())
    lacks("share of the processors", "by control group", "not limited",
          "no cpu controller can be used here");
  if (means.cgroups.v2.empty())
    lacks("processor time limit", "by control group", "by polling, with RLIMIT_CPU",
          means.cgroups.why);
}

Means probe() {
  Means means;
  std::string why;
  means.landlock_abi = landlock_abi();
  means.cgroups = probe_cgroups();
  find_namespaces(means, why);
  if (means.namespaces) {
    means.processes = true;
    means.processes = try_means(means, Policy::gpu_runner).ok();
  }
  describe(means, why);
  return means;
}

}  // namespace

const Means& means() {
  static const Means found = probe();
  return found;
}

const Isolation& isolation() { return means().isolation; }

Result<void> require(Requirement requirement) {
  const Isolation& found = isolation();
  if (requirement == Requirement::none) return {};
  if (!found.namespaces)
    return Error{ErrorKind::sandbox,
                 fmt::format("programs cannot be sandboxed on this host: {}",
                             found.degraded.empty() ? "" : found.degraded.front().reason)};
  if (requirement == Requirement::namespaces || found.degraded.empty()) return {};
  std::string missing;
  for (const Degradation& each : found.degraded)
    missing += fmt::format("{}{}: wanted {}, got {} ({})", missing.empty() ? "" : "; ",
                           each.property, each.wanted, each.got, each.reason);
  return Error{ErrorKind::sandbox, "the sandbox is weaker than required on this host: " + missing};
}

}  // namespace assay::sandbox
