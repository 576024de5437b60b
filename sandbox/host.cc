#include "sandbox/host.h"

#include <fmt/format.h>
#include <unistd.h>

#include "sandbox/landlock.h"
#include "sandbox/run.h"
#include "sandbox/self_test.h"

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
                 fmt::format("the self-test could {}", self_test_attempt(outcome.code))};
  return {};
}

/// The oldest Landlock that holds programs on its own: below it a hidden file can be emptied.
constexpr int kLandlockAlone = 3;

/// Finds the strongest combination of namespaces and listener that works here. `why` tells what
/// stood in the way of a stronger one.
void find_means(Means& means, std::string& why) {
  const auto works = [&](bool namespaces, bool user_namespace, bool listener) {
    means.namespaces = namespaces;
    means.user_namespace = user_namespace;
    means.listener = listener;
    const Result<void> tried = try_means(means, Policy::python);
    means.usable = tried.ok();
    if (!tried.ok() && why.empty()) why = tried.error().message;
    return means.usable;
  };
  for (const bool listener : {true, false}) {
    if (geteuid() == 0 && works(true, false, listener)) return;
    if (works(true, true, listener)) return;
  }
  if (means.landlock_abi < kLandlockAlone) return;
  for (const bool listener : {true, false})
    if (works(false, false, listener)) return;
}

int tier(const Means& means) {
  if (!means.usable) return 4;
  if (!means.namespaces) return 3;
  return means.user_namespace ? 2 : 1;
}

/// What Landlock, the filter and resource limits cannot do in place of namespaces.
void describe_tier_3(Means& means, const std::string& why) {
  const auto lacks = [&](const char* property, const char* wanted, const char* got,
                         const char* reason) {
    means.isolation.degraded.push_back({property, wanted, got, reason});
  };
  means.isolation.degraded.push_back(
      {"namespaces", "all", "none: Landlock, the system call filter and resource limits alone",
       why});
  lacks("file view", "a root folder of its own",
        "other files cannot be opened, but whether they exist, their size and times can be asked",
        "Landlock does not cover stat");
  lacks("work folder", "a tmpfs of a fixed size", "a folder of the disk, measured by polling",
        "nothing can be mounted");
  lacks("private /dev/shm", "for Python and device runners", "none", "nothing can be mounted");
  lacks("nothing survives", "a process namespace that ends with its init",
        "a process group that init and assay both end",
        "what is left survives if both are killed at the same time");
  const bool own_user = means.own_user();
  if (!own_user)
    lacks("user id", "one of its own for each run", "the caller's", "assay does not run as root");
  if (means.landlock_abi < 6)
    lacks("signals", "to the program's own processes",
          own_user ? "to its init too" : "to all processes of the caller",
          "Landlock scopes them from ABI 6 on");
}

void describe(Means& means, const std::string& why) {
  Isolation& isolation = means.isolation;
  const auto lacks = [&](const char* property, const char* wanted, const char* got,
                         const std::string& reason) {
    isolation.degraded.push_back({property, wanted, got, reason});
  };
  isolation.namespaces = means.namespaces;
  isolation.seccomp = means.usable;
  isolation.landlock_abi = means.landlock_abi;
  isolation.tier = tier(means);
  isolation.cgroup = means.cgroups.v2_controls ? "v2" : means.cgroups.limits_memory() ? "v1" : "";
  if (!means.usable) {
    lacks("namespaces", "all", "none: programs are refused", why);
    if (means.landlock_abi < kLandlockAlone)
      lacks("Landlock", fmt::format("ABI {} or newer", kLandlockAlone).c_str(),
            "none, or an older one", "without namespaces it would have to hold programs alone");
    return;
  }
  if (!means.namespaces) describe_tier_3(means, why);
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
    lacks("process limit", "by control group",
          means.namespaces || means.own_user() ? "RLIMIT_NPROC"
                                               : "RLIMIT_NPROC, with all programs of the caller",
          means.cgroups.why);
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
  find_means(means, why);
  if (means.usable) {
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

Error refusal() {
  return Error{ErrorKind::sandbox, fmt::format("programs cannot be sandboxed on this host: {}",
                                               isolation().degraded.front().reason)};
}

Result<void> require(Requirement requirement) {
  const Isolation& found = isolation();
  if (!means().usable) return refusal();
  if (requirement == Requirement::none) return {};
  if (requirement == Requirement::namespaces && !found.namespaces)
    return Error{ErrorKind::sandbox,
                 fmt::format("no namespaces can be made on this host ({}); assay doctor says what "
                             "Landlock and the system call filter hold without them, and "
                             "--require-sandbox none accepts that",
                             found.degraded.front().reason)};
  if (requirement == Requirement::namespaces || found.degraded.empty()) return {};
  std::string missing;
  for (const Degradation& each : found.degraded)
    missing += fmt::format("{}{}: wanted {}, got {} ({})", missing.empty() ? "" : "; ",
                           each.property, each.wanted, each.got, each.reason);
  return Error{ErrorKind::sandbox, "the sandbox is weaker than required on this host: " + missing};
}

}  // namespace assay::sandbox
