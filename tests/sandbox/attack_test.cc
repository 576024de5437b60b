// The attack catalogue, rows of system calls and files: each attack, and what becomes of it under
// each policy. An attack that cannot work outside tests nothing, so that is shown first.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <ostream>

#include "payload_run.h"

namespace assay::sandbox {
namespace {

/// Outside the sandbox.
enum class Bare {
  works,         // for any user
  as_root,       // for root; an ordinary user may be refused
  as_full_root,  // for root that may mount, as root of a container may not
  any,           // depends on the host's kernel and settings
  no,            // not tried outside: harmful there, or it makes no sense
};

/// The errno's name, the forbidden system call's behind a '!', "worked" where that is accepted
/// (docs/sandbox.md says why), or "" where the policy cannot show it.
struct Expected {
  std::string compiler, recorder, python, gpu_runner;

  const std::string& of(Policy policy) const {
    switch (policy) {
      case Policy::compiler:
        return compiler;
      case Policy::recorder:
        return recorder;
      case Policy::python:
        return python;
      case Policy::gpu_runner:
        return gpu_runner;
    }
    return compiler;
  }
};

Expected all(const std::string& expected) { return {expected, expected, expected, expected}; }

struct Attack {
  std::string row;  // of the catalogue in docs/sandbox.md
  std::vector<std::string> arguments;
  Expected expected;
  Bare bare = Bare::works;
  /// Without namespaces, where that is more than closed for absent, and refused for read-only.
  std::optional<Expected> on_host = {};

  std::string outcome(Policy policy) const {
    if (isolation().namespaces) return expected.of(policy);
    if (on_host) return on_host->of(policy);
    const std::string& text = expected.of(policy);
    if (text.find("ENOENT") != std::string::npos) return "EACCES|ENOENT";
    if (text.find("EROFS") != std::string::npos) return "EACCES|EPERM";
    return text;
  }
};

std::ostream& operator<<(std::ostream& out, const Attack& attack) {
  out << attack.row;
  for (const std::string& argument : attack.arguments) out << " " << argument;
  return out;
}

/// What only a running test knows: services of this process, which play the host's.
class HostServices {
 public:
  static const HostServices& get() {
    static const HostServices services;
    return services;
  }

  std::vector<std::string> fill_in(std::vector<std::string> arguments) const {
    for (std::string& argument : arguments) {
      if (argument == "$PID") argument = std::to_string(getpid());
      if (argument == "$ADDRESS") argument = std::to_string(reinterpret_cast<uintptr_t>(this));
      if (argument == "$PORT") argument = port_;
      if (argument == "$ABSTRACT") argument = "@" + path_;
      if (argument == "$SOCKET") argument = path_;
      if (argument == "/proc/$PID/maps") argument = "/proc/" + std::to_string(getpid()) + "/maps";
    }
    return arguments;
  }

 private:
  HostServices() {
    tcp_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(tcp_, reinterpret_cast<sockaddr*>(&address), size);
    listen(tcp_, 64);
    getsockname(tcp_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = std::to_string(ntohs(address.sin_port));
    path_ = "/tmp/assay-attack-" + std::to_string(getpid());
    abstract_ = listen_unix('\0' + path_);
    named_ = listen_unix(path_);
  }
  ~HostServices() {
    unlink(path_.c_str());
    for (const int end : {tcp_, abstract_, named_}) close(end);
  }

  static int listen_unix(const std::string& name) {
    const int end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::copy(name.begin() + (name[0] == '\0'), name.end(), address.sun_path + (name[0] == '\0'));
    const size_t size = offsetof(sockaddr_un, sun_path) + name.size();
    bind(end, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size));
    listen(end, 64);
    return end;
  }

  int tcp_ = -1;
  int abstract_ = -1;
  int named_ = -1;
  std::string port_;
  std::string path_;
};

std::string test_name(const Attack& attack) {
  std::string name = attack.row;
  for (const std::string& argument : attack.arguments) {
    name += '_';
    for (const char c : argument)
      if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
  }
  return name;
}

/// `expected` may name several, for hosts that refuse in different places: "EPERM|EINVAL".
bool one_of(const std::string& output, const std::string& expected) {
  return output.ends_with('\n') &&
         ("|" + expected + "|").find("|" + output.substr(0, output.size() - 1) + "|") !=
             std::string::npos;
}

class WithoutSandbox : public testing::TestWithParam<Attack> {};

TEST_P(WithoutSandbox, Works) {
  const Attack& attack = GetParam();
  const int status = run_bare(HostServices::get().fill_in(attack.arguments));
  if (status != 0 && attack.bare == Bare::any)
    GTEST_SKIP() << "this host's kernel or settings refuse it outside too";
  EXPECT_EQ(status, 0);
}

using Case = std::tuple<Attack, Policy>;
class InSandbox : public testing::TestWithParam<Case> {};

TEST_P(InSandbox, Fails) {
  const auto& [attack, policy] = GetParam();
  const std::string expected = attack.outcome(policy);
  const Outcome outcome = run_payload(HostServices::get().fill_in(attack.arguments), policy);
  if (expected.starts_with("!")) {
    EXPECT_EQ(outcome.exit, Exit::policy_violation)
        << outcome.explanation << " " << outcome.standard_output;
    if (!outcome.system_call.empty()) {
      EXPECT_EQ(outcome.system_call, expected.substr(1));
    }
  } else {
    EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
    EXPECT_TRUE(one_of(outcome.standard_output, expected))
        << outcome.standard_output << "and not " << expected;
  }
}

std::string number(int value) { return std::to_string(value); }

const std::vector<Attack>& catalogue() {
  static const std::vector<Attack> attacks = {
      {"A01", {"fork"}, {"worked", "!clone", "worked", "EPERM"}},
      {"A08", {"core-dump"}, {"EPERM", "!clone", "EPERM", "EPERM"}, Bare::any},
      {"A19", {"signal", "$PID"}, all("ESRCH"), Bare::works, all("EPERM")},
      {"A19", {"kill-parent"}, all("EPERM")},
      {"A19", {"limit-parent"}, all("ENOSYS")},
      {"A19", {"pin-parent"}, all("ENOSYS")},
      {"A20", {"pidfd-signal", "$PID"}, all("ENOSYS")},
      {"A21", {"ptrace-parent"}, all("!ptrace"), Bare::any},
      {"A21", {"parents-memory"}, all("!process_vm_readv"), Bare::any},
      {"A21", {"parents-descriptor"}, all("!pidfd_getfd"), Bare::any},
      {"A21", {"read", "/proc/1/mem"}, {"ENOENT", "ENOENT", "ENOENT", "EACCES"}, Bare::any},
      {"A21", {"read", "/proc/1/environ"}, {"ENOENT", "ENOENT", "ENOENT", "EACCES"}, Bare::any},
      {"A21", {"read", "/proc/1/root"}, {"ENOENT", "ENOENT", "ENOENT", "EACCES"}, Bare::any},
      {"A22", {"read-memory", "$PID", "$ADDRESS"}, all("!process_vm_readv"), Bare::any},
      {"A22", {"read", "/proc/$PID/maps"}, all("ENOENT"), Bare::any},
      {"A23",
       {"list-processes"},
       {"ENOENT", "ENOENT", "ENOENT", "ESRCH"},
       Bare::works,
       all("EACCES")},
      {"A24",
       {"read", "/proc/kallsyms"},
       {"ENOENT", "ENOENT", "ENOENT", "worked"},
       Bare::works,
       all("EACCES")},
      {"A24",
       {"read", "/proc/stat"},
       {"ENOENT", "ENOENT", "ENOENT", "worked"},
       Bare::works,
       all("EACCES")},
      {"A24",
       {"read", "/proc/pressure/cpu"},
       {"ENOENT", "ENOENT", "ENOENT", "worked|ENOENT"},
       Bare::any},
      {"A24", {"read", "/sys/kernel"}, all("ENOENT")},
      {"A25",
       {"append", "/proc/sys/kernel/core_pattern"},
       {"ENOENT", "ENOENT", "ENOENT", "EACCES|EROFS"},
       Bare::as_root},
      {"A25",
       {"append", "/proc/sysrq-trigger"},
       {"ENOENT", "ENOENT", "ENOENT", "EACCES|EROFS|ENOENT"},
       Bare::no},
      {"A25",
       {"write-path", "/proc/self/oom_score_adj", "-1000"},
       {"ENOENT", "ENOENT", "ENOENT", "EACCES"},
       Bare::any},
      {"A26", {"read", "/etc/passwd"}, all("ENOENT")},
      {"A26", {"read", "/etc/shadow"}, all("ENOENT"), Bare::as_root},
      {"A26", {"read", "/root"}, all("ENOENT"), Bare::as_root},
      {"A26", {"read", "/home"}, all("ENOENT")},
      {"A26", {"read", ASSAY_SOURCE_DIR "/README.md"}, all("ENOENT")},
      {"A26", {"read", "/box/../etc/passwd"}, all("ENOENT"), Bare::no},
      {"A27", {"read", ASSAY_SOURCE_DIR "/tasks"}, all("ENOENT")},
      {"A27", {"read", ASSAY_SOURCE_DIR "/reference_kernels"}, all("ENOENT")},
      {"A28", {"create", "/assay-test"}, all("EROFS"), Bare::as_root},
      {"A28", {"create", "/usr/assay-test"}, all("EROFS"), Bare::as_root},
      {"A28", {"create", "/etc/assay-test"}, all("EROFS"), Bare::as_root},
      {"A28", {"create", "/dev/assay-test"}, all("EROFS"), Bare::as_root},
      {"A28", {"append", "/usr/bin/env"}, all("EACCES|EROFS"), Bare::no},
      {"A28", {"chmod", "/bin/sh"}, all("EROFS"), Bare::as_root},
      {"A29", {"link-host-file"}, all("EXDEV"), Bare::any, all("EXDEV|EPERM|EACCES")},
      {"A30", {"make-fifo", "/tmp/assay-test.fifo"}, all("ENOSYS")},
      {"A33", {"make-device"}, all("ENOSYS"), Bare::as_full_root},
      {"A33", {"make-block-device"}, all("ENOSYS"), Bare::as_full_root},
      {"A34", {"new-privileges"}, all("EPERM"), Bare::as_root},
      {"A34", {"setuid-mount"}, all("EPERM"), Bare::any, all("worked")},  // new-privileges holds
      // A container's own filter answers first.
      {"A36", {"unshare", number(CLONE_NEWUSER)}, all("!unshare"), Bare::any, all("EPERM")},
      {"A36", {"unshare", number(CLONE_NEWNS)}, all("!unshare"), Bare::as_full_root, all("EPERM")},
      {"A36", {"clone-namespace"}, all("!clone"), Bare::any, all("EPERM")},
      {"A36", {"clone3-namespace"}, all("ENOSYS"), Bare::any},
      {"A37", {"setns"}, all("!setns"), Bare::as_full_root},
      {"A37", {"mount"}, all("!mount"), Bare::no},
      {"A37", {"unmount"}, all("!umount2"), Bare::no},
      {"A37", {"pivot-root"}, all("!pivot_root"), Bare::no},
      {"A37", {"chroot"}, all("!chroot"), Bare::as_root},
      {"A37", {"fsopen"}, all("!fsopen"), Bare::as_full_root},
      {"A37", {"open-tree"}, all("!open_tree"), Bare::as_full_root},
      {"A37", {"move-mount"}, all("!move_mount"), Bare::no},
      {"A37", {"set-host-name"}, all("!sethostname"), Bare::as_full_root},
      {"A38", {"ptrace-me"}, all("!ptrace")},
      {"A38", {"trace-child"}, {"!ptrace", "!clone", "!ptrace", "!ptrace"}},
      {"A39", {"add-key"}, all("!add_key"), Bare::any},
      {"A39", {"keyring"}, all("!keyctl"), Bare::any},
      {"A39", {"request-key"}, all("!request_key"), Bare::any},
      {"A40", {"bpf"}, all("!bpf"), Bare::any},
      {"A40", {"perf-event"}, all("!perf_event_open"), Bare::any},
      {"A41", {"userfaultfd"}, all("!userfaultfd"), Bare::any},
      {"A42", {"io-uring"}, all("!io_uring_setup"), Bare::any},
      {"A43", {"fanotify"}, all("!fanotify_init"), Bare::any},
      {"A43", {"inotify"}, all("ENOSYS")},
      {"A44", {"flock"}, all("ENOSYS")},
      {"A44", {"record-lock", number(F_SETLK)}, all("ENOSYS")},
      {"A44", {"record-lock", number(F_SETLK), "high"}, all("ENOSYS")},
      {"A44", {"record-lock", number(F_OFD_SETLK)}, all("ENOSYS")},
      {"A44", {"lease", "/bin/sh"}, all("ENOSYS"), Bare::as_root},
      {"A44", {"folder-watch"}, all("ENOSYS")},
      {"A45", {"execute"}, {"", "!execve", "", "!execve"}},
      {"A45", {"memfd"}, {"ENOSYS", "ENOSYS", "worked", "worked"}},
      {"A45", {"execute-anonymous"}, {"ENOSYS", "ENOSYS", "", "EPERM"}},
      {"A45", {"writable-code"}, all("worked")},
      {"A46", {"secret-memory"}, all("ENOSYS"), Bare::any},
      {"A47", {"name-handle"}, all("!name_to_handle_at"), Bare::any},
      {"A47", {"open-handle"}, all("!name_to_handle_at"), Bare::as_root},
      {"A47", {"open-handle-directly"}, all("!open_by_handle_at"), Bare::no},
      {"A48", {"personality"}, all("ENOSYS")},
      {"A48", {"modify-ldt"}, all("!modify_ldt"), Bare::any},
      {"A49", {"filter-listener"}, all("ENOSYS")},
      {"A49", {"nested-filter"}, all("ENOSYS")},
      {"A50", {"connect", "$PORT"}, {"!socket", "!socket", "EACCES", "EACCES"}},
      {"A51", {"datagram"}, {"!socket", "!socket", "EACCES", "EACCES"}},
      {"A51",
       {"socket", number(AF_INET), number(SOCK_DGRAM)},
       {"!socket", "!socket", "EACCES", "EACCES"}},
      {"A51",
       {"socket", number(AF_INET), number(SOCK_RAW)},
       {"!socket", "!socket", "EACCES", "EACCES"},
       Bare::any},
      {"A51",
       {"socket", number(AF_INET6), number(SOCK_STREAM)},
       {"!socket", "!socket", "EACCES", "EACCES"},
       Bare::any},
      {"A51", {"socket-high-bit", number(AF_INET)}, {"!socket", "!socket", "EACCES", "EACCES"}},
      {"A52",
       {"unix-connect", "$ABSTRACT"},
       {"EACCES", "!socket", "EACCES", "ECONNREFUSED"},
       Bare::works,
       Expected{"EACCES", "!socket", "EACCES", "EACCES"}},
      {"A53", {"unix-connect", "$SOCKET"}, {"EACCES", "!socket", "EACCES", "ENOENT"}},
      {"A53",
       {"socket-high-bit", number(AF_UNIX)},
       {"EACCES", "!socket", "EACCES", "worked"},
       Bare::works,
       Expected{"EACCES", "!socket", "EACCES", "EACCES"}},
      {"A54",
       {"socket", number(AF_VSOCK), number(SOCK_STREAM)},
       {"!socket", "!socket", "EACCES", "EACCES"},
       Bare::any},
      {"A54",
       {"socket-high-bit", number(AF_VSOCK)},
       {"!socket", "!socket", "EACCES", "EACCES"},
       Bare::any},
      {"A55",
       {"socket", number(AF_NETLINK), number(SOCK_RAW)},
       {"!socket", "!socket", "EACCES", "EACCES"}},
      {"A55",
       {"socket", number(AF_ALG), number(SOCK_SEQPACKET)},
       {"!socket", "!socket", "EACCES", "EACCES"},
       Bare::any},
      {"A55",
       {"socket", number(AF_PACKET), number(SOCK_RAW)},
       {"!socket", "!socket", "EACCES", "EACCES"},
       Bare::as_root},
      {"A56", {"bind-port"}, {"!socket", "!socket", "EACCES", "EACCES"}},
      {"A57", {"shared-memory"}, all("ENOSYS")},
      {"A57", {"semaphore"}, all("ENOSYS")},
      {"A57", {"message-queue"}, all("ENOSYS")},
      {"A57", {"posix-queue"}, all("ENOSYS"), Bare::any},
      {"A60", {"terminal-input"}, {"ENOSYS", "ENOSYS", "ENOSYS", "ENOTTY"}, Bare::no},
      {"A60", {"terminal-linux"}, {"ENOSYS", "ENOSYS", "ENOSYS", "ENOTTY"}, Bare::no},
      {"A61", {"raise-limit"}, all("EPERM"), Bare::any},
      {"A61",
       {"raise-priority"},
       {"ENOSYS", "ENOSYS", "ENOSYS", "EACCES"},
       Bare::as_root,
       all("ENOSYS")},
      {"A61", {"real-time"}, {"ENOSYS", "ENOSYS", "EPERM", "EPERM"}, Bare::as_root},
      {"A61", {"lock-memory"}, {"ENOSYS", "ENOSYS", "ENOMEM", "ENOMEM"}, Bare::as_root},
      {"A62", {"append", "/sys/fs/cgroup/cgroup.procs"}, all("ENOENT"), Bare::any},
      {"A62", {"append", "/sys/fs/cgroup/pids/cgroup.procs"}, all("ENOENT"), Bare::any},
      {"A63", {"read", "/dev/zero"}, {"ENOENT", "ENOENT", "worked", "worked"}},
      {"A63", {"read", "/dev/kmsg"}, all("ENOENT"), Bare::no},
      {"A63", {"read", "/dev/kvm"}, all("ENOENT"), Bare::no},
      {"A63", {"read", "/dev/fuse"}, all("ENOENT"), Bare::no},
      {"A63", {"read", "/dev/vda"}, all("ENOENT"), Bare::no},
      {"A63", {"read", "/dev/ptmx"}, all("ENOENT"), Bare::no},
      {"A63", {"read", "/dev/mem"}, all("ENOENT"), Bare::no},
      {"A64", {"set-clock"}, all("!clock_settime"), Bare::no},
      {"A64", {"adjust-clock"}, all("!clock_adjtime"), Bare::as_root},
      {"A70", {"forge-result"}, all("EBADF"), Bare::no},
      {"C07", {"read", "/dev/stdin"}, all("ENOENT"), Bare::no, all("worked")},  // it is /dev/null
  };
  return attacks;
}

/// Whether this process may unshare namespaces and mount; tried in a child.
bool may_mount() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNS) == 0 ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0;
}

std::vector<Attack> shown_outside() {
  const bool root = geteuid() == 0;
  const bool full_root = root && may_mount();
  std::vector<Attack> shown;
  for (const Attack& attack : catalogue())
    if (attack.bare == Bare::works || attack.bare == Bare::any ||
        (attack.bare == Bare::as_root && root) || (attack.bare == Bare::as_full_root && full_root))
      shown.push_back(attack);
  return shown;
}

std::vector<Case> cases() {
  std::vector<Case> cases;
  for (const Attack& attack : catalogue())
    for (const Policy policy :
         {Policy::compiler, Policy::recorder, Policy::python, Policy::gpu_runner})
      if (!attack.expected.of(policy).empty()) cases.emplace_back(attack, policy);
  return cases;
}

std::string name_of_attack(const testing::TestParamInfo<Attack>& attack) {
  return test_name(attack.param);
}

std::string name_of_case(const testing::TestParamInfo<Case>& instance) {
  constexpr std::array kPolicies = {"compiler", "recorder", "python", "gpu_runner"};
  const auto policy = static_cast<size_t>(std::get<1>(instance.param));
  return test_name(std::get<0>(instance.param)) + "_" + kPolicies[policy];
}

INSTANTIATE_TEST_SUITE_P(Catalogue, WithoutSandbox, testing::ValuesIn(shown_outside()),
                         name_of_attack);
INSTANTIATE_TEST_SUITE_P(Catalogue, InSandbox, testing::ValuesIn(cases()), name_of_case);

}  // namespace
}  // namespace assay::sandbox
