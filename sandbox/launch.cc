#include "sandbox/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "sandbox/filter.h"
#include "sandbox/owner_map.h"
#include "sandbox/process_tree.h"

namespace assay::sandbox {
namespace {

constexpr size_t kMaxFiles = 1024;
constexpr size_t kMaxDescriptors = 64;
constexpr uid_t kMappedUser = 1000;

Error unusable(std::string what) { return Error{ErrorKind::sandbox, std::move(what)}; }

/// A user id that no other run on this machine has now: 22 bits of the supervisor's pid, 8 of a
/// counter, in a range that no account uses.
uid_t own_user() {
  static std::atomic<unsigned> counter = 0;
  const unsigned pid = static_cast<unsigned>(getpid()) & 0x3fffff;
  return 0x40000000u + (pid << 8) + (counter++ & 0xff);
}

Result<void> check_file_name(const std::string& name) {
  if (name.empty() || name.size() > 255 || name == "." || name == ".." ||
      name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
    return unusable(fmt::format("'{}' is no name for a file of the work folder", name));
  return {};
}

Result<void> check(const Command& command) {
  if (command.arguments.empty() || !command.arguments[0].starts_with('/'))
    return unusable("a sandboxed command needs the absolute path of its program");
  if (command.inputs.size() + command.outputs.size() > kMaxFiles)
    return unusable(fmt::format("more than {} input and output files", kMaxFiles));
  if (command.descriptors.size() > kMaxDescriptors)
    return unusable(fmt::format("more than {} descriptors", kMaxDescriptors));
  std::set<std::string> seen;
  for (const InputFile& input : command.inputs) {
    RETURN_IF_ERROR(check_file_name(input.name));
    if (!seen.insert(input.name).second)
      return unusable(fmt::format("the input file {} is given twice", input.name));
  }
  for (const std::string& output : command.outputs) RETURN_IF_ERROR(check_file_name(output));
  return {};
}

void set_program(Launch& launch, const Command& command) {
  for (const std::string& argument : command.arguments) launch.strings.push_back(argument);
  for (const auto& [name, value] : command.environment)
    launch.strings.push_back(name + "=" + value);
  for (size_t i = 0; i < launch.strings.size(); ++i)
    (i < command.arguments.size() ? launch.arguments : launch.environment)
        .push_back(launch.strings[i].data());
  launch.arguments.push_back(nullptr);
  launch.environment.push_back(nullptr);
}

void set_user(Launch& launch, const Means& means) {
  launch.namespaces = means.namespaces;
  launch.user_namespace = means.user_namespace;
  launch.own_user = means.own_user();
  if (launch.own_user) {
    launch.uid = launch.gid = own_user();
  } else if (means.user_namespace) {
    launch.uid = launch.gid = kMappedUser;
    launch.uid_map = fmt::format("{} {} 1", kMappedUser, geteuid());
    launch.gid_map = fmt::format("{} {} 1", kMappedUser, getegid());
  } else {
    launch.uid = geteuid();
    launch.gid = getegid();
  }
}

Result<void> set_view(Launch& launch, const Command& command, const Limits& limits, Policy policy,
                      const Means& means) {
  launch.work_path = kWorkFolder;
  Viewer viewer = {launch.uid, launch.gid, launch.own_user, means.processes, {}};
  if (!launch.namespaces) {
    ASSIGN_OR_RETURN(launch.work_folder, WorkFolder::create(launch.uid, launch.gid));
    launch.work_path = viewer.work_folder = launch.work_folder.path();
  }
  ASSIGN_OR_RETURN(launch.view, make_view(policy, command.mounts, limits, viewer));
  return {};
}

Result<void> make_owner_maps(Launch& launch) {
  for (Step& step : launch.view) {
    if (!step.private_to_owner) continue;
    if (!launch.namespaces)
      return unusable(
          fmt::format("cannot mount {} into the sandbox: it is private to its owner, "
                      "and no mount namespace can lend it to the program's user; make "
                      "it readable (chmod o+r, of folders o+rx)",
                      step.source));
    ASSIGN_OR_RETURN(Descriptor map,
                     make_owner_map(step.owner, step.group, launch.uid, launch.gid));
    step.owner_map = map.get();
    launch.owner_maps.push_back(std::move(map));
  }
  return {};
}

struct PolicyLimits {
  rlim_t files = 0;
  rlim_t stack_bytes = 0;
};

PolicyLimits policy_limits(Policy policy) {
  switch (policy) {
    case Policy::compiler:
      return {256, rlim_t{64} << 20};
    case Policy::recorder:
      return {64, rlim_t{8} << 20};
    case Policy::python:
      return {1024, rlim_t{64} << 20};
    case Policy::gpu_runner:
      return {1024, rlim_t{64} << 20};
  }
  return {};
}

/// A limit at most as high as the supervisor's own, which an ordinary user cannot exceed.
ResourceLimit limit(int number, rlim_t soft, rlim_t hard) {
  rlimit own = {};
  getrlimit(static_cast<__rlimit_resource_t>(number), &own);
  return {number, {std::min(soft, own.rlim_max), std::min(hard, own.rlim_max)}};
}

void set_limits(Launch& launch, const Limits& limits, Policy policy, const Means& means) {
  const PolicyLimits own = policy_limits(policy);
  const auto same = [&](int number, rlim_t value) {
    launch.limits.push_back(limit(number, value, value));
  };
  // 1, not 0: where cores go to a pipe the kernel ignores 0 and takes 1 as "none".
  same(RLIMIT_CORE, 1);
  same(RLIMIT_FSIZE, limits.file_bytes);
  same(RLIMIT_NOFILE, own.files);
  same(RLIMIT_STACK, own.stack_bytes);
  // Exact as well where the user or its namespace is the run's own, but it does not say when it
  // bites.
  if (!means.cgroups.limits_pids())
    same(RLIMIT_NPROC,
         limits.processes + 1 +
             (launch.own_user || launch.user_namespace ? 0 : tasks_of_user(geteuid())));
  same(RLIMIT_MSGQUEUE, 0);
  if (policy != Policy::gpu_runner) {
    same(RLIMIT_MEMLOCK, 64 << 10);
    // Where no group limits memory the supervisor polls it; this bounds what a fast program can
    // take between two looks. Not for the driver, which reserves far more than it uses.
    if (!means.cgroups.limits_memory()) same(RLIMIT_DATA, 2 * limits.memory_bytes);
  }
  if (limits.cpu.count() > 0) {
    const rlim_t seconds = static_cast<rlim_t>((limits.cpu.count() + 999) / 1000);
    // The supervisor comes first, who measures all processes; this is for one that is held up.
    launch.limits.push_back(limit(RLIMIT_CPU, seconds + 1, seconds + 2));
  }
}

}  // namespace

Result<Launch> prepare_launch(const Command& command, const Limits& limits, Policy policy,
                              const Means& means) {
  RETURN_IF_ERROR(check(command));
  Launch launch;
  set_program(launch, command);
  launch.inputs = command.inputs;
  launch.outputs = command.outputs;
  launch.descriptors = command.descriptors;
  set_user(launch, means);
  RETURN_IF_ERROR(set_view(launch, command, limits, policy, means));
  RETURN_IF_ERROR(make_owner_maps(launch));
  set_limits(launch, limits, policy, means);
  launch.file_bytes = limits.file_bytes;
  launch.landlock_abi = means.landlock_abi;
  launch.listener = means.listener;
  launch.executes_once = means.listener && executes_once(policy);
  launch.kill_is_foreign = !sends_kill(policy);
  launch.isolation = means.isolation;
  ASSIGN_OR_RETURN(launch.filter, policy_filter(policy, means.listener, means.namespaces));
  return launch;
}

}  // namespace assay::sandbox
