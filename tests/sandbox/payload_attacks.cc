#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "payload.h"

namespace {

int result(long status) { return status < 0 ? errno : 0; }

/// Makes a call with bit 32 of its `index`-th argument set, which the kernel ignores in an int.
constexpr unsigned long kHighBit = 1ul << 32;

int read_path(const Arguments& arguments) {
  const int file = open(arguments.at(0).c_str(), O_RDONLY);
  if (file < 0) return errno;
  char byte = 0;
  struct stat status = {};
  fstat(file, &status);
  return S_ISDIR(status.st_mode) ? 0 : result(read(file, &byte, 1));
}

int create_path(const Arguments& arguments) {
  const int file = open(arguments.at(0).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (file < 0) return errno;
  unlink(arguments.at(0).c_str());
  return 0;
}

int append_path(const Arguments& arguments) {
  return result(open(arguments.at(0).c_str(), O_WRONLY | O_APPEND));
}

int change_mode(const Arguments& arguments) {
  struct stat status = {};
  if (stat(arguments.at(0).c_str(), &status) != 0) return errno;
  return result(chmod(arguments.at(0).c_str(), status.st_mode & 07777));
}

int connect_tcp(const Arguments& arguments) {
  const int end = socket(AF_INET, SOCK_STREAM, 0);
  if (end < 0) return errno;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(arguments.at(0).c_str())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result(connect(end, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
}

int socket_of(const Arguments& arguments) {
  const long family = atol(arguments.at(0).c_str());
  const long type = atol(arguments.at(1).c_str());
  return result(syscall(SYS_socket, family, type, 0));
}

int socket_with_high_bit(const Arguments& arguments) {
  const unsigned long family = static_cast<unsigned long>(atol(arguments.at(0).c_str()));
  return result(syscall(SYS_socket, family | kHighBit, SOCK_STREAM, 0));
}

int kill_everybody(const Arguments&) {
  // Signal 0: shows reach without harm. Init is never reached by its own namespace's kill(-1).
  return result(kill(1, 0)) == 0 && getppid() == 1 ? EPERM : result(kill(getppid(), 0));
}

int ptrace_me(const Arguments&) { return result(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }

int ptrace_parent(const Arguments&) {
  return result(ptrace(PTRACE_SEIZE, getppid(), nullptr, nullptr));
}

int read_parents_memory(const Arguments&) {
  char byte = 0;
  iovec here = {&byte, 1};
  iovec there = {&byte, 1};
  return result(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

int take_parents_descriptor(const Arguments&) {
  const long pidfd = syscall(SYS_pidfd_open, getppid(), 0);
  return result(syscall(SYS_pidfd_getfd, pidfd < 0 ? 0 : pidfd, 0, 0));
}

int limit_parent(const Arguments&) {
  rlimit limit = {};
  return result(prlimit(getppid(), RLIMIT_NOFILE, nullptr, &limit));
}

int pin_parent(const Arguments&) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  sched_getaffinity(0, sizeof(set), &set);
  return result(sched_setaffinity(getppid(), sizeof(set), &set));
}

int new_namespace(const Arguments& arguments) {
  return result(unshare(static_cast<int>(strtol(arguments.at(0).c_str(), nullptr, 0))));
}

int clone_namespace(const Arguments&) {
  const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child == 0) _exit(0);
  return result(child);
}

int clone3_namespace(const Arguments&) {
  clone_args arguments = {};
  arguments.flags = CLONE_NEWUSER;
  arguments.exit_signal = SIGCHLD;
  const long child = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (child == 0) _exit(0);
  return result(child);
}

int enter_namespace(const Arguments&) {
  const int file = open("/proc/self/ns/uts", O_RDONLY);
  return result(setns(file < 0 ? 0 : file, 0));
}

int mount_tmpfs(const Arguments&) { return result(mount("none", "/tmp", "tmpfs", 0, "")); }

int change_root(const Arguments&) { return result(chroot(".")); }

int open_file_system(const Arguments&) { return result(syscall(SYS_fsopen, "tmpfs", 0)); }

int add_key(const Arguments&) {
  return result(syscall(SYS_add_key, "user", "assay-test", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

int load_bpf(const Arguments&) {
  bpf_attr attributes = {};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 4;
  attributes.max_entries = 1;
  return result(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
}

int open_performance_event(const Arguments&) {
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.size = sizeof(attributes);
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.exclude_kernel = 1;
  return result(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

int handle_page_faults(const Arguments&) {
  constexpr int kUserModeOnly = 1;
  return result(syscall(SYS_userfaultfd, kUserModeOnly));
}

int set_up_io_uring(const Arguments&) {
  io_uring_params parameters = {};
  return result(syscall(SYS_io_uring_setup, 4, &parameters));
}

int watch_file(const Arguments&) {
  const int watcher = inotify_init1(0);
  if (watcher < 0) return errno;
  return result(inotify_add_watch(watcher, "/usr", IN_OPEN));
}

int lock_file(const Arguments&) { return result(flock(open("/bin/sh", O_RDONLY), LOCK_SH)); }

int lock_record(const Arguments& arguments) {
  flock64 lock = {};
  lock.l_type = F_RDLCK;
  const long command = atol(arguments.at(0).c_str());
  const unsigned long high = arguments.size() > 1 ? kHighBit : 0;
  return result(syscall(SYS_fcntl, open("/bin/sh", O_RDONLY),
                        static_cast<unsigned long>(command) | high, &lock));
}

int name_handle(const Arguments&) {
  alignas(file_handle) char buffer[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(buffer);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  return result(name_to_handle_at(AT_FDCWD, "/usr", handle, &mount, 0));
}

int change_personality(const Arguments&) { return result(personality(ADDR_NO_RANDOMIZE)); }

int secret_memory(const Arguments&) { return result(syscall(SYS_memfd_secret, 0)); }

int become_root(const Arguments&) { return result(setuid(0)); }

int make_device(const Arguments&) {
  const int status = result(mknod("assay-test-device", S_IFCHR | 0600, 0x0103));
  unlink("assay-test-device");
  return status;
}

int listen_to_filter(const Arguments&) {
  sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  sock_fprog program = {1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return result(
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

int raise_limit(const Arguments&) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max = limit.rlim_max + 1;
  return result(setrlimit(RLIMIT_NOFILE, &limit));
}

int set_clock(const Arguments&) {
  timeval now = {};
  gettimeofday(&now, nullptr);
  return result(settimeofday(&now, nullptr));
}

int set_host_name(const Arguments&) {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return result(sethostname(name, strlen(name)));
}

int gain_by_setuid_program(const Arguments&) {
  // Worked: no_new_privs is off, so a set-uid program would gain its owner's rights.
  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : EPERM;
}

int call_32_bit(const Arguments&) {
#if defined(__x86_64__)
  long number = 20;  // getpid of i386
  asm volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
  return number < 0 ? static_cast<int>(-number) : 0;
#else
  return ENOSYS;
#endif
}

int call_x32(const Arguments&) { return result(syscall(0x40000000 | SYS_getpid)); }

int execute_again(const Arguments&) {
  char name[] = "/bin/true";
  char* const list[] = {name, nullptr};
  return result(execv(name, list));
}

int execute_written_program(const Arguments&) {
  const long file = syscall(SYS_memfd_create, "x", 0);
  return result(file);
}

int create_process(const Arguments&) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  if (child > 0) waitpid(child, nullptr, 0);
  return result(child);
}

int write_to_terminal_input(const Arguments&) {
  char byte = 'x';
  return result(ioctl(0, 0x5412 /* TIOCSTI */, &byte));
}

}  // namespace

const std::map<std::string, Action>& attacks() {
  static const std::map<std::string, Action> table = {
      {"read", read_path},
      {"create", create_path},
      {"append", append_path},
      {"chmod", change_mode},
      {"connect", connect_tcp},
      {"socket", socket_of},
      {"socket-high-bit", socket_with_high_bit},
      {"kill-parent", kill_everybody},
      {"ptrace-me", ptrace_me},
      {"ptrace-parent", ptrace_parent},
      {"parents-memory", read_parents_memory},
      {"parents-descriptor", take_parents_descriptor},
      {"limit-parent", limit_parent},
      {"pin-parent", pin_parent},
      {"unshare", new_namespace},
      {"clone-namespace", clone_namespace},
      {"clone3-namespace", clone3_namespace},
      {"setns", enter_namespace},
      {"mount", mount_tmpfs},
      {"chroot", change_root},
      {"fsopen", open_file_system},
      {"add-key", add_key},
      {"bpf", load_bpf},
      {"perf-event", open_performance_event},
      {"userfaultfd", handle_page_faults},
      {"io-uring", set_up_io_uring},
      {"inotify", watch_file},
      {"flock", lock_file},
      {"record-lock", lock_record},
      {"name-handle", name_handle},
      {"personality", change_personality},
      {"secret-memory", secret_memory},
      {"become-root", become_root},
      {"make-device", make_device},
      {"filter-listener", listen_to_filter},
      {"raise-limit", raise_limit},
      {"set-clock", set_clock},
      {"set-host-name", set_host_name},
      {"new-privileges", gain_by_setuid_program},
      {"int80", call_32_bit},
      {"x32", call_x32},
      {"execute", execute_again},
      {"memfd", execute_written_program},
      {"fork", create_process},
      {"terminal-input", write_to_terminal_input},
  };
  return table;
}
