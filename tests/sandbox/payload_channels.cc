// Attempts to reach other runs, host services and kernel interfaces that outlive a run.
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "payload.h"

namespace {

int result(long status) { return status < 0 ? errno : 0; }

pid_t process_of(const Arguments& arguments) { return atoi(arguments.at(0).c_str()); }

int signal_process(const Arguments& arguments) { return result(kill(process_of(arguments), 0)); }

int signal_through_descriptor(const Arguments& arguments) {
  const long process = syscall(SYS_pidfd_open, process_of(arguments), 0);
  if (process < 0) return errno;
  return result(syscall(SYS_pidfd_send_signal, process, 0, nullptr, 0));
}

int read_memory_of(const Arguments& arguments) {
  char byte = 0;
  iovec here = {&byte, 1};
  iovec there = {reinterpret_cast<void*>(strtoul(arguments.at(1).c_str(), nullptr, 0)), 1};
  return result(process_vm_readv(process_of(arguments), &here, 1, &there, 1, 0));
}

int write_path(const Arguments& arguments) {
  const int file = open(arguments.at(0).c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  const std::string& text = arguments.at(1);
  return result(write(file, text.data(), text.size()));
}

/// `unix-connect @name` connects to an abstract address, other names are paths.
int connect_unix(const Arguments& arguments) {
  const int end = socket(AF_UNIX, SOCK_STREAM, 0);
  if (end < 0) return errno;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string name = arguments.at(0);
  if (name.starts_with('@')) name[0] = '\0';
  memcpy(address.sun_path, name.data(), name.size());
  const size_t size = offsetof(sockaddr_un, sun_path) + name.size();
  return result(connect(end, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size)));
}

int bind_port(const Arguments&) {
  const int end = socket(AF_INET, SOCK_STREAM, 0);
  if (end < 0) return errno;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result(bind(end, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
}

int send_datagram(const Arguments&) {
  const int end = socket(AF_INET, SOCK_DGRAM, 0);
  if (end < 0) return errno;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result(sendto(end, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
}

int share_memory(const Arguments&) {
  const int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  if (segment < 0) return errno;
  return result(shmctl(segment, IPC_RMID, nullptr));
}

int make_semaphore(const Arguments&) {
  const int set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
  if (set < 0) return errno;
  return result(semctl(set, 0, IPC_RMID));
}

int make_message_queue(const Arguments&) {
  const int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
  if (queue < 0) return errno;
  return result(msgctl(queue, IPC_RMID, nullptr));
}

int make_posix_queue(const Arguments&) {
  const mqd_t queue = mq_open("/assay-test", O_CREAT | O_RDWR, 0600, nullptr);
  if (queue < 0) return errno;
  mq_close(queue);
  return result(mq_unlink("/assay-test"));
}

int join_keyring(const Arguments&) {
  return result(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr, 0, 0, 0));
}

int request_key(const Arguments&) {
  // ENOKEY is an answer of the key service: the call was let through.
  const long status = syscall(SYS_request_key, "user", "assay-test", nullptr, 0);
  return status < 0 && errno != ENOKEY ? errno : 0;
}

int watch_everything(const Arguments&) {
  return result(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY));
}

/// F_SETLEASE, F_NOTIFY: on a shared file or folder.
int lease_file(const Arguments& arguments) {
  const int file = open(arguments.at(0).c_str(), O_RDONLY | O_CLOEXEC);
  return result(fcntl(file, F_SETLEASE, F_RDLCK));
}

int watch_folder(const Arguments&) {
  signal(SIGIO, SIG_IGN);
  return result(fcntl(open("/usr", O_RDONLY | O_CLOEXEC), F_NOTIFY, DN_ACCESS));
}

int open_handle(const Arguments&) {
  alignas(file_handle) char buffer[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(buffer);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  const int folder = open("/usr", O_RDONLY | O_CLOEXEC);
  if (syscall(SYS_name_to_handle_at, folder, "", handle, &mount, AT_EMPTY_PATH) != 0) return errno;
  return result(syscall(SYS_open_by_handle_at, folder, handle, O_RDONLY));
}

int open_handle_directly(const Arguments&) {
  return result(syscall(SYS_open_by_handle_at, -1, nullptr, O_RDONLY));
}

int unmount(const Arguments&) { return result(umount2("/usr", MNT_DETACH)); }

int pivot(const Arguments&) { return result(syscall(SYS_pivot_root, ".", ".")); }

int copy_mount(const Arguments&) {
  constexpr int kCloneTree = 1;
  return result(syscall(SYS_open_tree, AT_FDCWD, "/usr", kCloneTree));
}

int move_a_mount(const Arguments&) { return result(syscall(SYS_move_mount, -1, "", -1, "", 4)); }

int change_segments(const Arguments&) {
  char buffer[16];
  return result(syscall(SYS_modify_ldt, 0, buffer, sizeof(buffer)));
}

int adjust_clock(const Arguments&) {
  timex change = {};
  change.modes = ADJ_TICK;
  change.tick = 10000;  // as it is
  return result(adjtimex(&change));
}

int raise_priority(const Arguments&) { return result(setpriority(PRIO_PROCESS, 0, -5)); }

int run_in_real_time(const Arguments&) {
  sched_param parameters = {};
  parameters.sched_priority = 1;
  return result(sched_setscheduler(0, SCHED_FIFO, &parameters));
}

int lock_memory(const Arguments&) {
  constexpr size_t kBytes = size_t{64} << 20;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  return result(mlock(memory, kBytes));
}

int linux_terminal_call(const Arguments&) {
  char paste = 3;
  return result(ioctl(0, 0x541C /* TIOCLINUX */, &paste));
}

/// Worked: programs of /usr could still raise privileges by their set-uid bit.
int setuid_mount(const Arguments&) {
  struct statvfs status = {};
  if (statvfs("/usr/bin", &status) != 0) return errno;
  return (status.f_flag & ST_NOSUID) != 0 ? EPERM : 0;
}

int make_block_device(const Arguments&) {
  const int status = result(mknod("assay-test-block", S_IFBLK | 0600, 0x0700));
  unlink("assay-test-block");
  return status;
}

int make_fifo(const Arguments& arguments) {
  const int status = result(mkfifo(arguments.at(0).c_str(), 0600));
  unlink(arguments.at(0).c_str());
  return status;
}

int link_host_file(const Arguments&) {
  const int status = result(link("/usr/bin/env", "/tmp/assay-test-link"));
  unlink("/tmp/assay-test-link");
  return status;
}

int trace_child(const Arguments&) {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  constexpr int kAttach = 16;
  const long status = syscall(SYS_ptrace, kAttach, child, nullptr, nullptr);
  const int error = errno;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return status < 0 ? error : 0;
}

int filter_again(const Arguments&) {
  constexpr int kGetActionAvailable = 2;
  unsigned action = 0x7fff0000;  // SECCOMP_RET_ALLOW
  return result(syscall(SYS_seccomp, kGetActionAvailable, 0, &action));
}

int execute_anonymous_file(const Arguments&) {
  const int from = open("/bin/true", O_RDONLY | O_CLOEXEC);
  const long to = syscall(SYS_memfd_create, "x", 0);
  if (to < 0) return errno;
  char block[65536];
  for (ssize_t count; (count = read(from, block, sizeof(block))) > 0;)
    if (write(static_cast<int>(to), block, static_cast<size_t>(count)) != count) return errno;
  char* const none[] = {nullptr};
  return result(syscall(SYS_execveat, to, "", none, none, AT_EMPTY_PATH));
}

int writable_code(const Arguments&) {
  void* memory =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? errno : 0;
}

/// SIGKILL to itself with bit 32 of the number set, which the kernel ignores.
int kill_with_high_bit(const Arguments&) {
  return result(syscall(SYS_kill, getpid(), SIGKILL | 1ul << 32));
}

/// Worked: a descriptor beyond the standard three took a forged verdict.
int forge_result(const Arguments&) {
  constexpr char kForged[] = "{\"verdict\": \"correct\", \"time_us\": 0.001}\n";
  for (int descriptor = 3; descriptor < 64; ++descriptor)
    if (write(descriptor, kForged, sizeof(kForged) - 1) > 0) return 0;
  return EBADF;
}

}  // namespace

const std::map<std::string, Action>& channels() {
  static const std::map<std::string, Action> table = {
      {"signal", signal_process},
      {"pidfd-signal", signal_through_descriptor},
      {"read-memory", read_memory_of},
      {"write-path", write_path},
      {"unix-connect", connect_unix},
      {"bind-port", bind_port},
      {"datagram", send_datagram},
      {"shared-memory", share_memory},
      {"semaphore", make_semaphore},
      {"message-queue", make_message_queue},
      {"posix-queue", make_posix_queue},
      {"keyring", join_keyring},
      {"request-key", request_key},
      {"fanotify", watch_everything},
      {"lease", lease_file},
      {"folder-watch", watch_folder},
      {"open-handle", open_handle},
      {"open-handle-directly", open_handle_directly},
      {"unmount", unmount},
      {"pivot-root", pivot},
      {"open-tree", copy_mount},
      {"move-mount", move_a_mount},
      {"modify-ldt", change_segments},
      {"adjust-clock", adjust_clock},
      {"raise-priority", raise_priority},
      {"real-time", run_in_real_time},
      {"lock-memory", lock_memory},
      {"terminal-linux", linux_terminal_call},
      {"setuid-mount", setuid_mount},
      {"make-block-device", make_block_device},
      {"make-fifo", make_fifo},
      {"link-host-file", link_host_file},
      {"trace-child", trace_child},
      {"nested-filter", filter_again},
      {"execute-anonymous", execute_anonymous_file},
      {"writable-code", writable_code},
      {"forge-result", forge_result},
      {"high-kill", kill_with_high_bit},
  };
  return table;
}
