#include "sandbox/child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include "sandbox/landlock.h"
#include "sandbox/self_test.h"

namespace assay::sandbox {
namespace {

bool write_all(int file, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t written = write(file, bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes += written;
    count -= static_cast<size_t>(written);
  }
  return true;
}

bool write_file_at(const char* path, const char* text, size_t count) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool ok = write_all(file, text, count);
  const int error = errno;
  close(file);
  errno = error;
  return ok;
}

void close_others(const Launch& launch) {
  unsigned next = 0;
  for (const int kept : launch.keep) {
    const unsigned number = static_cast<unsigned>(kept);
    if (number > next) syscall(SYS_close_range, next, number - 1, 0);
    next = number + 1;
  }
  syscall(SYS_close_range, next, ~0u, 0);
}

void enter_cgroups(const Launch& launch) {
  for (const int entry : launch.cgroup_entries) {
    if (write(entry, "0", 1) != 1) fail(launch, Stage::cgroup, errno);
    close(entry);
  }
}

void map_user(const Launch& launch) {
  if (!write_file_at("/proc/self/setgroups", "deny", 4) ||
      !write_file_at("/proc/self/uid_map", launch.uid_map.data(), launch.uid_map.size()) ||
      !write_file_at("/proc/self/gid_map", launch.gid_map.data(), launch.gid_map.size()))
    fail(launch, Stage::user_map, errno);
}

/// The host's trees, before the new root hides any of them.
void open_sources(Launch& launch) {
  for (size_t i = 0; i < launch.view.size(); ++i) {
    Step& step = launch.view[i];
    if (step.kind != Step::Kind::bind) continue;
    step.tree = open_tree(AT_FDCWD, step.source.c_str(),
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    mount_attr attributes = {};
    attributes.attr_set = MOUNT_ATTR_NOSUID;
    attributes.attr_set |= step.device ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV;
    if (!step.writable) attributes.attr_set |= MOUNT_ATTR_RDONLY;
    if (step.tree < 0 || mount_setattr(step.tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                                       sizeof(attributes)) != 0)
      fail(launch, Stage::source, errno, static_cast<int>(i));
    if (step.owner_map < 0) continue;
    mount_attr owner = {};
    owner.attr_set = MOUNT_ATTR_IDMAP;
    owner.userns_fd = static_cast<uint64_t>(step.owner_map);
    if (mount_setattr(step.tree, "", AT_EMPTY_PATH, &owner, sizeof(owner)) != 0)
      fail(launch, Stage::owner, errno, static_cast<int>(i));
    close(step.owner_map);
  }
}

/// Opens `path` with `root` as its root folder, so that absolute links stay inside.
int open_in_root(int root, const char* path) {
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  return static_cast<int>(
      syscall(SYS_openat2, root, *path == '\0' ? "." : path, &how, sizeof(how)));
}

/// Opens the folder that holds `path` and points `base` at its last part.
int open_parent(int root, const char* path, const char*& base) {
  const char* slash = strrchr(path, '/');
  if (slash == nullptr) {
    base = path;
    return open_in_root(root, "");
  }
  base = slash + 1;
  char parent[PATH_MAX];
  const size_t length = static_cast<size_t>(slash - path);
  if (length >= sizeof(parent)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(parent, path, length);
  parent[length] = '\0';
  return open_in_root(root, parent);
}

/// Makes the entry that a step needs; an existing one will do.
bool make_entry(int root, const Step& step) {
  const char* base = nullptr;
  const int parent = open_parent(root, step.path.c_str(), base);
  if (parent < 0) return false;
  int status = 0;
  if (step.kind == Step::Kind::link) {
    status = symlinkat(step.source.c_str(), parent, base);
  } else if (step.kind == Step::Kind::bind && !step.is_folder) {
    status = mknodat(parent, base, S_IFREG | 0644, 0);
  } else {
    status = mkdirat(parent, base, 0755);
  }
  const int error = errno;
  close(parent);
  errno = error;
  return status == 0 || error == EEXIST;
}

bool attach(int root, Step& step) {
  const int target = open_in_root(root, step.path.c_str());
  if (target < 0) return false;
  const bool ok =
      move_mount(step.tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
  const int error = errno;
  close(target);
  close(step.tree);
  errno = error;
  return ok;
}

/// A procfs belongs to root outside, whoever mounts it: in a container, where a run's user is root
/// outside, its files of the whole kernel (core_pattern!) could be written through it.
bool mount_processes(const char* path) {
  if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "") != 0) return false;
  const int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (const char* name :
       {"sys", "irq", "bus", "fs", "scsi", "acpi", "driver", "mtrr", "sysrq-trigger"}) {
    const int tree = open_tree(folder, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 && errno == ENOENT) continue;
    mount_attr attributes = {};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0 ||
        move_mount(tree, "", folder, name, MOVE_MOUNT_F_EMPTY_PATH) != 0)
      return false;
    close(tree);
  }
  close(folder);
  return true;
}

bool carry_out(int root, Step& step) {
  if (!make_entry(root, step)) return false;
  switch (step.kind) {
    case Step::Kind::folder:
    case Step::Kind::link:
      return true;
    case Step::Kind::bind:
      return attach(root, step);
    case Step::Kind::memory:
      return mount("assay", step.path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                   step.source.c_str()) == 0;
    case Step::Kind::processes:
      return mount_processes(step.path.c_str());
  }
  return false;
}

void write_inputs(const Launch& launch, const char* path) {
  const int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (size_t i = 0; i < launch.inputs.size(); ++i) {
    const InputFile& input = launch.inputs[i];
    const int file = openat(folder, input.name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0 || !write_all(file, input.content.data(), input.content.size()) ||
        fchmod(file, input.executable ? 0755 : 0644) != 0 ||
        fchown(file, launch.uid, launch.gid) != 0)
      fail(launch, Stage::input, errno, static_cast<int>(i));
    close(file);
  }
  close(folder);
}

/// Builds the new root over a folder that every host has, and makes it the only root there is.
void build_view(Launch& launch) {
  constexpr const char* kMountPoint = "/usr";
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    fail(launch, Stage::private_mounts, errno);
  open_sources(launch);
  if (mount("assay", kMountPoint, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4m") != 0 ||
      chdir(kMountPoint) != 0)
    fail(launch, Stage::root, errno);
  const int root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (size_t i = 0; i < launch.view.size(); ++i)
    if (!carry_out(root, launch.view[i])) fail(launch, Stage::step, errno, static_cast<int>(i));
  close(root);
  write_inputs(launch, kWorkFolder + 1);  // relative to the root to be
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0 ||
      mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof(attributes)) != 0)
    fail(launch, Stage::pivot, errno);
}

/// The program's descriptors at their numbers; all others close on execve.
void arrange_descriptors(Launch& launch, int& handshake) {
  const int count = static_cast<int>(launch.descriptors.size());
  const int above = 3 + count;
  const auto raise = [&](int number) {
    const int raised = fcntl(number, F_DUPFD_CLOEXEC, above);
    if (raised < 0) fail(launch, Stage::descriptors, errno);
    return raised;
  };
  launch.control = raise(launch.control);
  handshake = raise(handshake);
  const int standard[] = {raise(launch.standard_input), raise(launch.standard_output),
                          raise(launch.standard_error)};
  for (int& descriptor : launch.descriptors) descriptor = raise(descriptor);
  for (int i = 0; i < above; ++i)
    if (dup2(i < 3 ? standard[i] : launch.descriptors[static_cast<size_t>(i - 3)], i) < 0)
      fail(launch, Stage::descriptors, errno);
  syscall(SYS_close_range, above, ~0u, CLOSE_RANGE_CLOEXEC);
}

void limit_resources(const Launch& launch) {
  for (const ResourceLimit& limit : launch.limits)
    if (setrlimit(static_cast<__rlimit_resource_t>(limit.number), &limit.value) != 0)
      fail(launch, Stage::resource_limits, errno, limit.number);
}

void apply_landlock(const Launch& launch) {
  if (launch.landlock_abi == 0) return;
  const int rules = landlock_create(launch.landlock_abi);
  if (rules < 0 || chdir("/") != 0) fail(launch, Stage::landlock, errno);
  for (size_t i = 0; i < launch.view.size(); ++i) {
    const Step& step = launch.view[i];
    if (step.rights != 0 &&
        !landlock_allow(rules, launch.landlock_abi, step.path.c_str(), step.rights))
      fail(launch, Stage::landlock, errno, static_cast<int>(i));
  }
  if (!landlock_restrict(rules)) fail(launch, Stage::landlock, errno);
  close(rules);
}

void apply_filter(const Launch& launch, int handshake) {
  sock_fprog program = {static_cast<unsigned short>(launch.filter->size()),
                        const_cast<sock_filter*>(launch.filter->data())};
  const unsigned flags = launch.listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  const int listener =
      static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
  if (listener < 0) fail(launch, Stage::filter, errno);
  Message message;
  message.kind = Message::Kind::filter;
  send_message(handshake, message, launch.listener ? listener : -1);
  if (launch.listener) close(listener);
  // Init has the listener now, and lets this process go on when it is ready itself.
  char go = 0;
  if (read(handshake, &go, 1) != 1) _exit(127);
}

[[noreturn]] void program_main(Launch& launch, int handshake) {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setsid();  // and leader of a group, in which it stays without namespaces
  arrange_descriptors(launch, handshake);
  drop_privileges(launch);
  // Init's end is that of its namespace; without one at least of the program. If init is dead
  // already, it lets nobody go on.
  if (!launch.namespaces) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  limit_resources(launch);
  apply_landlock(launch);
  if (chdir(launch.work_path.c_str()) != 0) fail(launch, Stage::step, errno);
  apply_filter(launch, handshake);
  if (launch.self_test) _exit(self_test());
  execve(launch.arguments[0], launch.arguments.data(), launch.environment.data());
  fail(launch, Stage::execute, errno);
}

}  // namespace

void fail(const Launch& launch, Stage stage, int error, int index) {
  Message message;
  message.kind = Message::Kind::failed;
  message.stage = stage;
  message.error = error;
  message.index = index;
  // write, not sendmsg: the program's filter may already be on.
  if (write(launch.control, &message, sizeof(message)) < 0) _exit(126);
  _exit(127);
}

void drop_privileges(const Launch& launch) {
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; ++capability) {
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  // The raw calls: those of libc would signal threads that this process does not have.
  if (launch.own_user && syscall(SYS_setgroups, 0, nullptr) != 0)
    fail(launch, Stage::privileges, errno);
  if (syscall(SYS_setresgid, launch.gid, launch.gid, launch.gid) != 0 ||
      syscall(SYS_setresuid, launch.uid, launch.uid, launch.uid) != 0)
    fail(launch, Stage::privileges, errno);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    fail(launch, Stage::privileges, errno);
}

void child_main(Launch& launch) {
  close_others(launch);
  umask(022);
  // Init takes no signal but SIGCHLD, and that from a descriptor: the supervisor's handlers must
  // never run here. All signals came blocked.
  enter_cgroups(launch);
  if (launch.user_namespace) map_user(launch);
  const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (launch.namespaces) {
    build_view(launch);
    constexpr char kName[] = "assay";
    if (sethostname(kName, sizeof(kName) - 1) != 0) fail(launch, Stage::host_name, errno);
  } else {
    write_inputs(launch, launch.work_path.c_str());
    // Orphans of the program become init's children, to be reaped and counted.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) fail(launch, Stage::init, errno);
  }

  Child child;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  signal(SIGCHLD, SIG_DFL);  // an inherited SIG_IGN would discard exit statuses
  child.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  int handshake[2] = {-1, -1};
  if (child.signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, handshake) != 0)
    fail(launch, Stage::init, errno);
  // When memory runs out the program goes first, init last.
  if (write(score, "1000", 4) < 0) errno = 0;
  child.process = static_cast<int>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child.process < 0) fail(launch, Stage::fork, errno);
  if (child.process == 0) {
    close(handshake[0]);
    program_main(launch, handshake[1]);
  }
  if (write(score, "0", 1) < 0) errno = 0;
  close(score);
  close(handshake[1]);
  child.handshake = handshake[0];
  init_main(launch, child);
}

}  // namespace assay::sandbox
