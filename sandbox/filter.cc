// Theory of operation
//
// A filter answers each system call in one of three ways:
//
//   allowed    it is on the list common to all policies or on the policy's own
//   forbidden  no compiler, recorder or runner makes such a call in good faith (ptrace, mount, bpf,
//              new namespaces ...): the run ends, and the outcome names the call
//   refused    everything else, calls unknown to this table included, fails with ENOSYS (or an
//              errno of its own), so that a newer libc falls back instead of dying
//
// Calls of a foreign architecture (int 0x80, x32) kill the process. Arguments of type int are
// compared under a mask of 32 bits, because the kernel ignores the upper half of the register and a
// filter does not: a plain comparison is bypassed by setting bit 32.
#include "sandbox/filter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <span>

#include "sandbox/descriptor.h"

namespace assay::sandbox {
namespace {

constexpr const char* kCommon[] = {
    // files
    "access", "chdir", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
    "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fdatasync", "fstat", "fstatfs",
    "fsync", "ftruncate", "getcwd", "getdents", "getdents64", "link", "linkat", "lseek", "lstat",
    "mkdir", "mkdirat", "newfstatat", "open", "openat", "openat2", "pipe", "pipe2", "pread64",
    "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readlink", "readlinkat",
    "readv", "rename", "renameat", "renameat2", "rmdir", "sendfile", "stat", "statfs", "statx",
    "symlink", "symlinkat", "truncate", "umask", "unlink", "unlinkat", "write", "writev",
    // memory
    "brk", "madvise", "membarrier", "mincore", "mmap", "mprotect", "mremap", "msync", "munmap",
    // waiting; sockets only as inherited descriptors
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd",
    "eventfd2", "getpeername", "getsockname", "getsockopt", "poll", "ppoll", "pselect6", "recvfrom",
    "recvmsg", "select", "sendmsg", "sendto", "shutdown", "timerfd_create", "timerfd_gettime",
    "timerfd_settime",
    // time
    "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday",
    "nanosleep", "setitimer", "time", "timer_create", "timer_delete", "timer_getoverrun",
    "timer_gettime", "timer_settime", "times",
    // itself
    "arch_prctl", "exit", "exit_group", "futex", "get_robust_list", "getcpu", "getegid", "geteuid",
    "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom",
    "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid",
    "restart_syscall", "rseq", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_yield", "set_robust_list",
    "set_tid_address", "setgid", "setresgid", "setresuid", "setrlimit", "setuid", "sysinfo",
    "uname", "wait4", "waitid",
    // signals
    "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "sigaltstack"};

/// Without namespaces these reach what is not the run's: files whose owner the program's user is
/// (Landlock does not cover attributes), and out of the process group by which a run is ended.
constexpr const char* kNeedNamespaces[] = {"chmod",  "fchmod", "fchmodat",  "setpgid",
                                           "setsid", "utime",  "utimensat", "utimes"};

/// Calls that send a signal, and which argument is its number.
constexpr std::pair<const char*, unsigned> kSignalling[] = {
    {"kill", 1}, {"rt_sigqueueinfo", 1}, {"tgkill", 2}, {"tkill", 1}};

constexpr const char* kProcesses[] = {"fork", "vfork", "execve"};

constexpr const char* kPython[] = {"execveat", "memfd_create", "mlock",
                                   "munlock",  "socketpair",   "get_mempolicy"};

constexpr const char* kGpuRunner[] = {
    "accept",        "accept4", "bind",       "connect",       "listen",    "setsockopt",
    "get_mempolicy", "ioctl",   "mbind",      "memfd_create",  "mlock",     "mlock2",
    "mlockall",      "munlock", "munlockall", "set_mempolicy", "socketpair"};

constexpr const char* kForbidden[] = {
    // other processes
    "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
    // keys, tracing, asynchronous interfaces that pass by the filter
    "add_key", "bpf", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl",
    "perf_event_open", "request_key", "userfaultfd",
    // file systems and namespaces
    "chroot", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
    "move_mount", "name_to_handle_at", "open_by_handle_at", "open_tree", "pivot_root", "quotactl",
    "setns", "umount2", "unshare",
    // the machine
    "acct", "adjtimex", "clock_adjtime", "clock_settime", "delete_module", "finit_module",
    "init_module", "ioperm", "iopl", "kexec_file_load", "kexec_load", "lookup_dcookie",
    "migrate_pages", "modify_ldt", "move_pages", "reboot", "setdomainname", "sethostname",
    "settimeofday", "swapoff", "swapon", "syslog", "vhangup"};

// Programs ask for these in passing and take "not supported" for an answer.
constexpr const char* kAttributes[] = {"fgetxattr", "flistxattr", "getxattr",
                                       "lgetxattr", "listxattr",  "llistxattr"};

constexpr const char* kProcessCreation[] = {"execveat", "fork", "vfork"};

constexpr uint64_t kNetworkFamilies[] = {AF_INET,   AF_INET6, AF_NETLINK,
                                         AF_PACKET, AF_ALG,   AF_VSOCK};

constexpr uint64_t kInt = 0xffffffff;
// CLONE_NEWTIME is 0x80; in clone() that bit belongs to the exit signal and is never valid there.
constexpr uint64_t kNewNamespaces = CLONE_NEWTIME | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                    CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

/// What a filter is for.
struct Purpose {
  Policy policy;
  bool listener;
  bool namespaces;

  auto operator<=>(const Purpose&) const = default;
};

/// A filter under construction. The first failure is kept.
class Builder {
 public:
  explicit Builder(bool listener)
      : context_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS))),
        forbid_(listener ? SCMP_ACT_NOTIFY : SCMP_ACT_KILL_PROCESS) {
    if (context_ == nullptr) {
      error_ = -ENOMEM;
      return;
    }
    check(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "BADARCH");
    check(seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2), "OPTIMIZE");
  }
  ~Builder() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  uint32_t forbid() const { return forbid_; }

  void rule(uint32_t action, const char* call, std::vector<scmp_arg_cmp> arguments = {}) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR) return;  // unknown to this libseccomp: refused like all others
    check(seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(arguments.size()),
                                 arguments.data()),
          call);
  }
  void rules(uint32_t action, std::span<const char* const> calls) {
    for (const char* call : calls) rule(action, call);
  }
  /// A rule for argument `index`, an int, being `value` under `mask`.
  void rule_if(uint32_t action, const char* call, unsigned index, uint64_t value,
               uint64_t mask = kInt) {
    rule(action, call, {scmp_arg_cmp{index, SCMP_CMP_MASKED_EQ, mask, value}});
  }

  Result<std::vector<sock_filter>> finish() {
    const Descriptor file(memfd_create("assay-filter", MFD_CLOEXEC));
    if (error_ == 0) check(seccomp_export_bpf(context_, file.get()), "export");
    struct stat status = {};
    if (error_ == 0 && fstat(file.get(), &status) != 0) check(-errno, "export");
    std::vector<sock_filter> program(static_cast<size_t>(status.st_size) / sizeof(sock_filter));
    const size_t bytes = program.size() * sizeof(sock_filter);
    if (error_ == 0 && pread(file.get(), program.data(), bytes, 0) != static_cast<ssize_t>(bytes))
      check(-EIO, "export");
    if (error_ != 0)
      return Error{ErrorKind::sandbox, fmt::format("cannot build the system call filter ({}): {}",
                                                   at_, strerror(-error_))};
    return program;
  }

 private:
  void check(int status, const char* what) {
    if (error_ != 0 || status == 0) return;
    error_ = status;
    at_ = what;
  }

  scmp_filter_ctx context_;
  uint32_t forbid_;
  int error_ = 0;
  std::string at_;
};

void add_arguments_common(Builder& builder) {
  for (const uint64_t command : {F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC})
    builder.rule_if(SCMP_ACT_ALLOW, "fcntl", 1, command);
  for (const uint64_t option : {PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_GET_DUMPABLE,
                                PR_GET_PDEATHSIG, PR_GET_NO_NEW_PRIVS})
    builder.rule_if(SCMP_ACT_ALLOW, "prctl", 0, option);
  // Only its own limits and affinity: pid 1 of the run has the same user.
  builder.rule_if(SCMP_ACT_ALLOW, "prlimit64", 0, 0);
  builder.rule_if(SCMP_ACT_ALLOW, "sched_setaffinity", 0, 0);
}

void add_terminal_ioctls(Builder& builder) {
  for (const uint64_t request :
       {TCGETS, TIOCGWINSZ, TIOCGPGRP, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX})
    builder.rule_if(SCMP_ACT_ALLOW, "ioctl", 1, request);
}

/// clone3 hides its flags behind a pointer: refused, libc falls back to clone.
void add_clone(Builder& builder, bool processes, uint32_t on_fork) {
  const uint64_t thread = CLONE_THREAD;
  if (processes) {
    builder.rule_if(SCMP_ACT_ALLOW, "clone", 0, 0, kNewNamespaces & kInt);
  } else {
    builder.rule_if(SCMP_ACT_ALLOW, "clone", 0, thread, (kNewNamespaces | thread) & kInt);
    builder.rule_if(on_fork, "clone", 0, 0, (kNewNamespaces | thread) & kInt);
  }
  for (uint64_t bit = 1; bit < kInt; bit <<= 1)
    if ((kNewNamespaces & bit) != 0) builder.rule_if(builder.forbid(), "clone", 0, bit, bit);
}

/// Without `kill_too` every signal but SIGKILL is allowed: at least one of the low bits differs. A
/// rule for each bit, as a comparison with "not equal" knows no mask.
void add_signals(Builder& builder, bool kill_too) {
  for (const auto& [call, argument] : kSignalling) {
    if (kill_too) {
      builder.rule(SCMP_ACT_ALLOW, call);
      continue;
    }
    for (uint64_t bit = 1; bit <= 64; bit <<= 1)
      builder.rule_if(SCMP_ACT_ALLOW, call, argument, ~uint64_t{SIGKILL} & bit, bit);
    builder.rule_if(builder.forbid(), call, argument, SIGKILL);
  }
}

void add_scheduling(Builder& builder, bool namespaces) {
  for (const char* call : {"sched_setparam", "sched_setscheduler"}) {
    if (namespaces) {
      builder.rule(SCMP_ACT_ALLOW, call);
    } else {
      builder.rule_if(SCMP_ACT_ALLOW, call, 0, 0);  // of the calling thread alone
    }
  }
}

/// Families of sockets: AF_UNIX stays within the run's own view and network; without these it is
/// refused like all others.
void add_sockets(Builder& builder, uint32_t on_unix, uint32_t on_network) {
  builder.rule_if(on_unix, "socket", 0, AF_UNIX);
  for (const uint64_t family : kNetworkFamilies) builder.rule_if(on_network, "socket", 0, family);
}

void add_what_needs_namespaces(Builder& builder, bool namespaces) {
  builder.rules(namespaces ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM), kNeedNamespaces);
  // By it the program dies with init.
  if (namespaces) builder.rule_if(SCMP_ACT_ALLOW, "prctl", 0, PR_SET_PDEATHSIG);
}

void add_compiler(Builder& builder) {
  builder.rules(SCMP_ACT_ALLOW, kProcesses);
  add_clone(builder, true, 0);
  add_terminal_ioctls(builder);
  // libc looks for a name service over AF_UNIX; every other family is an attempt at a network.
  add_sockets(builder, SCMP_ACT_ERRNO(EACCES), builder.forbid());
}

void add_recorder(Builder& builder, bool listener) {
  // With a listener init lets the first execve through. Without, a second one cannot be told from
  // the first; the filter stays on across it.
  builder.rule(listener ? builder.forbid() : SCMP_ACT_ALLOW, "execve");
  builder.rules(builder.forbid(), kProcessCreation);
  builder.rule(builder.forbid(), "socket");
  add_clone(builder, false, builder.forbid());
  add_terminal_ioctls(builder);
}

void add_python(Builder& builder, bool namespaces) {
  builder.rules(SCMP_ACT_ALLOW, kProcesses);
  builder.rules(SCMP_ACT_ALLOW, kPython);
  builder.rule(SCMP_ACT_ERRNO(EACCES), "socket");
  add_scheduling(builder, namespaces);
  add_clone(builder, true, 0);
  add_terminal_ioctls(builder);
}

void add_gpu_runner(Builder& builder, bool listener, bool namespaces) {
  builder.rule(listener ? builder.forbid() : SCMP_ACT_ALLOW, "execve");
  // The driver library tries to run a helper that makes device nodes: let that fail.
  builder.rules(SCMP_ACT_ERRNO(EPERM), kProcessCreation);
  // It listens on an abstract AF_UNIX address, which its network namespace keeps to itself.
  add_sockets(builder, namespaces ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES),
              SCMP_ACT_ERRNO(EACCES));
  builder.rules(SCMP_ACT_ALLOW, kGpuRunner);
  add_scheduling(builder, namespaces);
  // Its second argument names the process, user or group.
  if (namespaces) builder.rule(SCMP_ACT_ALLOW, "setpriority");
  add_clone(builder, false, SCMP_ACT_ERRNO(EPERM));
}

Result<std::vector<sock_filter>> build(const Purpose& purpose) {
  const auto& [policy, listener, namespaces] = purpose;
  Builder builder(listener);
  builder.rules(SCMP_ACT_ALLOW, kCommon);
  builder.rules(builder.forbid(), kForbidden);
  builder.rules(SCMP_ACT_ERRNO(EOPNOTSUPP), kAttributes);
  add_arguments_common(builder);
  add_what_needs_namespaces(builder, namespaces);
  add_signals(builder, sends_kill(policy));
  switch (policy) {
    case Policy::compiler:
      add_compiler(builder);
      break;
    case Policy::recorder:
      add_recorder(builder, listener);
      break;
    case Policy::python:
      add_python(builder, namespaces);
      break;
    case Policy::gpu_runner:
      add_gpu_runner(builder, listener, namespaces);
      break;
  }
  return builder.finish();
}

}  // namespace

Result<const std::vector<sock_filter>*> policy_filter(Policy policy, bool listener,
                                                      bool namespaces) {
  static std::mutex mutex;
  static std::map<Purpose, std::vector<sock_filter>> built;
  const std::lock_guard lock(mutex);
  const Purpose purpose = {policy, listener, namespaces};
  if (const auto found = built.find(purpose); found != built.end()) return &found->second;
  ASSIGN_OR_RETURN(std::vector<sock_filter> program, build(purpose));
  return &built.emplace(purpose, std::move(program)).first->second;
}

bool executes_once(Policy policy) {
  return policy == Policy::recorder || policy == Policy::gpu_runner;
}

bool sends_kill(Policy policy) { return policy == Policy::compiler || policy == Policy::python; }

std::string system_call_name(uint32_t architecture, int number) {
  uint32_t token = 0;
  switch (architecture) {
    case AUDIT_ARCH_X86_64:
      token = SCMP_ARCH_X86_64;
      break;
    case AUDIT_ARCH_AARCH64:
      token = SCMP_ARCH_AARCH64;
      break;
    default:
      return "";
  }
  char* found = seccomp_syscall_resolve_num_arch(token, number);
  const std::string name = found == nullptr ? "" : found;
  free(found);
  return name;
}

}  // namespace assay::sandbox
