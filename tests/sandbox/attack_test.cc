// The attack catalogue: each attack, its policy and what becomes of it. Attacks that are harmless
// outside are first shown to work there: one that cannot work tests nothing.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <ostream>

#include "payload_run.h"

namespace assay::sandbox {
namespace {

/// Outside the sandbox.
enum class Bare {
  works,    // for any user
  as_root,  // for root; an ordinary user may be refused
  any,      // depends on the host's kernel and settings
  no,       // not tried outside: harmful there, or it makes no sense
};

struct Attack {
  std::vector<std::string> arguments;
  /// The errno's name, or the forbidden system call's behind a '!'.
  std::string expected;
  Bare bare = Bare::works;
  Policy policy = Policy::compiler;
};

std::ostream& operator<<(std::ostream& out, const Attack& attack) {
  for (const std::string& argument : attack.arguments) out << argument << " ";
  return out << "-> " << attack.expected;
}

class Attacks : public testing::TestWithParam<Attack> {};

TEST_P(Attacks, AreRefused) {
  const Attack& attack = GetParam();
  if (attack.bare == Bare::works || (attack.bare == Bare::as_root && geteuid() == 0)) {
    EXPECT_EQ(run_bare(attack.arguments), 0) << "does not even work outside";
  }
  const Outcome outcome = run_payload(attack.arguments, attack.policy);
  if (attack.expected.starts_with("!")) {
    EXPECT_EQ(outcome.exit, Exit::policy_violation)
        << outcome.explanation << " " << outcome.standard_output;
    if (!outcome.system_call.empty()) {
      EXPECT_EQ(outcome.system_call, attack.expected.substr(1));
    }
  } else {
    EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
    EXPECT_EQ(outcome.standard_output, attack.expected + "\n");
  }
}

const std::string kNewUser = std::to_string(CLONE_NEWUSER);
const std::string kNewMounts = std::to_string(CLONE_NEWNS);
std::string text(int number) { return std::to_string(number); }

INSTANTIATE_TEST_SUITE_P(
    Files, Attacks,
    testing::Values(Attack{{"read", "/etc/passwd"}, "ENOENT"},
                    Attack{{"read", "/etc/shadow"}, "ENOENT", Bare::as_root},
                    Attack{{"read", "/root"}, "ENOENT", Bare::as_root},
                    Attack{{"read", SANDBOX_PAYLOAD}, "ENOENT"},
                    Attack{{"read", "/proc/self/environ"}, "ENOENT"},
                    Attack{{"read", "/proc/1/cmdline"}, "ENOENT"},
                    Attack{{"read", "/sys/kernel"}, "ENOENT"},
                    Attack{{"read", "/dev/zero"}, "ENOENT"},
                    Attack{{"read", "/dev/kmsg"}, "ENOENT", Bare::no},
                    Attack{{"read", "/box/../etc/passwd"}, "ENOENT", Bare::no},
                    Attack{{"read", "/proc/kallsyms"}, "ENOENT", Bare::works, Policy::python},
                    Attack{{"create", "/assay-test"}, "EROFS", Bare::as_root},
                    Attack{{"create", "/usr/assay-test"}, "EROFS", Bare::as_root},
                    Attack{{"create", "/etc/assay-test"}, "EROFS", Bare::as_root},
                    Attack{{"create", "/dev/assay-test"}, "EROFS", Bare::as_root},
                    Attack{{"append", "/bin/sh"}, "EACCES", Bare::no},
                    Attack{{"chmod", "/bin/sh"}, "EROFS", Bare::as_root},
                    Attack{{"make-device"}, "ENOSYS", Bare::as_root}));

INSTANTIATE_TEST_SUITE_P(
    Processes, Attacks,
    testing::Values(Attack{{"ptrace-me"}, "!ptrace"},
                    Attack{{"ptrace-parent"}, "!ptrace", Bare::any},
                    Attack{{"parents-memory"}, "!process_vm_readv", Bare::any},
                    Attack{{"parents-descriptor"}, "!pidfd_getfd", Bare::any},
                    Attack{{"kill-parent"}, "EPERM"}, Attack{{"limit-parent"}, "ENOSYS"},
                    Attack{{"pin-parent"}, "ENOSYS"}, Attack{{"raise-limit"}, "EPERM", Bare::any},
                    Attack{{"new-privileges"}, "EPERM"},
                    Attack{{"fork"}, "!clone", Bare::works, Policy::recorder},
                    Attack{{"fork"}, "EPERM", Bare::works, Policy::gpu_runner},
                    Attack{{"execute"}, "!execve", Bare::works, Policy::recorder},
                    Attack{{"execute"}, "!execve", Bare::works, Policy::gpu_runner},
                    Attack{{"memfd"}, "ENOSYS", Bare::works, Policy::recorder}));

INSTANTIATE_TEST_SUITE_P(Namespaces, Attacks,
                         testing::Values(Attack{{"unshare", kNewUser}, "!unshare", Bare::any},
                                         Attack{{"unshare", kNewMounts}, "!unshare", Bare::as_root},
                                         Attack{{"clone-namespace"}, "!clone", Bare::any},
                                         Attack{{"clone3-namespace"}, "ENOSYS", Bare::any},
                                         Attack{{"setns"}, "!setns", Bare::as_root},
                                         Attack{{"mount"}, "!mount", Bare::no},
                                         Attack{{"chroot"}, "!chroot", Bare::as_root},
                                         Attack{{"fsopen"}, "!fsopen", Bare::as_root},
                                         Attack{{"set-host-name"}, "!sethostname", Bare::as_root}));

INSTANTIATE_TEST_SUITE_P(
    Kernel, Attacks,
    testing::Values(Attack{{"add-key"}, "!add_key", Bare::any}, Attack{{"bpf"}, "!bpf", Bare::any},
                    Attack{{"perf-event"}, "!perf_event_open", Bare::any},
                    Attack{{"userfaultfd"}, "!userfaultfd", Bare::any},
                    Attack{{"io-uring"}, "!io_uring_setup", Bare::any},
                    Attack{{"io-uring"}, "!io_uring_setup", Bare::any, Policy::python},
                    Attack{{"io-uring"}, "!io_uring_setup", Bare::any, Policy::gpu_runner},
                    Attack{{"inotify"}, "ENOSYS"}, Attack{{"flock"}, "ENOSYS"},
                    Attack{{"record-lock", text(F_SETLK)}, "ENOSYS"},
                    Attack{{"record-lock", text(F_SETLK), "high"}, "ENOSYS"},
                    Attack{{"record-lock", text(F_OFD_SETLK)}, "ENOSYS"},
                    Attack{{"name-handle"}, "!name_to_handle_at", Bare::any},
                    Attack{{"personality"}, "ENOSYS"},
                    Attack{{"secret-memory"}, "ENOSYS", Bare::any},
                    Attack{{"filter-listener"}, "ENOSYS"},
                    Attack{{"set-clock"}, "!clock_settime", Bare::no},
                    Attack{{"terminal-input"}, "ENOSYS", Bare::no}));

INSTANTIATE_TEST_SUITE_P(
    Sockets, Attacks,
    testing::Values(
        Attack{{"socket", text(AF_INET), text(SOCK_STREAM)}, "!socket"},
        Attack{{"socket", text(AF_INET), text(SOCK_DGRAM)}, "!socket"},
        Attack{{"socket", text(AF_INET6), text(SOCK_STREAM)}, "!socket", Bare::any},
        Attack{{"socket", text(AF_NETLINK), text(SOCK_RAW)}, "!socket"},
        Attack{{"socket", text(AF_VSOCK), text(SOCK_STREAM)}, "!socket", Bare::any},
        Attack{{"socket", text(AF_UNIX), text(SOCK_STREAM)}, "EACCES"},
        Attack{
            {"socket", text(AF_UNIX), text(SOCK_STREAM)}, "!socket", Bare::works, Policy::recorder},
        Attack{{"socket", text(AF_INET), text(SOCK_STREAM)}, "EACCES", Bare::works, Policy::python},
        Attack{{"socket", text(AF_INET), text(SOCK_STREAM)},
               "EACCES",
               Bare::works,
               Policy::gpu_runner},
        Attack{{"socket-high-bit", text(AF_INET)}, "!socket"},
        Attack{{"socket-high-bit", text(AF_UNIX)}, "EACCES"},
        Attack{{"socket-high-bit", text(AF_INET)}, "EACCES", Bare::works, Policy::python}));

TEST(Identity, CannotBecomeRoot) {
  // EINVAL where root has no number in the run's user namespace.
  const std::string answer = run_payload({"become-root"}).standard_output;
  EXPECT_TRUE(answer == "EPERM\n" || answer == "EINVAL\n") << answer;
}

TEST(ForeignCalls, OfThirtyTwoBitsAreKilled) {
  const Outcome outcome = run_payload({"int80"});
  EXPECT_EQ(outcome.exit, Exit::policy_violation) << outcome.explanation;
}

TEST(ForeignCalls, OfX32AreKilled) {
  const Outcome outcome = run_payload({"x32"});
  EXPECT_EQ(outcome.exit, Exit::policy_violation) << outcome.explanation;
}

TEST(Network, AListenerOfTheHostIsOutOfReach) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = text(ntohs(address.sin_port));
  EXPECT_EQ(run_bare({"connect", port}), 0);
  EXPECT_EQ(run_payload({"connect", port}, Policy::recorder).system_call, "socket");
  EXPECT_EQ(run_payload({"connect", port}, Policy::python).standard_output, "EACCES\n");
  close(listener);
}

TEST(Recorder, MayHaveThreads) {
  const Outcome outcome = run_payload({"threads", "20"}, Policy::recorder);
  EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
  EXPECT_EQ(outcome.code, 0) << outcome.standard_output;
}

TEST(GpuRunner, SeesOnlyItsOwnProcesses) {
  Command command = payload({"read", "/proc/1/cmdline"});
  EXPECT_EQ(run_payload({"read", "/proc/self/maps"}, Policy::gpu_runner).standard_output,
            "worked\n");
  // Init is another process of ours and not dumpable.
  EXPECT_EQ(run_payload({"read", "/proc/1/environ"}, Policy::gpu_runner).standard_output,
            "EACCES\n");
  EXPECT_EQ(run_payload({"read", "/proc/" + std::to_string(getpid()) + "/maps"}, Policy::gpu_runner)
                .standard_output,
            "ENOENT\n");
}

}  // namespace
}  // namespace assay::sandbox
