#include "sandbox/self_test.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace assay::sandbox {
namespace {

struct Attempt {
  const char* what;
  bool (*works)();
};

bool opens(const char* path, int flags) { return open(path, flags | O_CLOEXEC, 0644) >= 0; }

/// Attempts that fail with an errno under every policy that tries them: others would end the run.
/// The numbers are rows of the catalogue in docs/sandbox.md.
constexpr std::array kAttempts = {
    Attempt{"read /etc/passwd (A26)", [] { return opens("/etc/passwd", O_RDONLY); }},
    Attempt{"open /root (A26)", [] { return opens("/root", O_RDONLY); }},
    Attempt{"make a folder in / (A28)", [] { return mkdir("/assay", 0755) == 0; }},
    Attempt{"write to /usr (A28)", [] { return opens("/usr/assay", O_WRONLY | O_CREAT); }},
    Attempt{"read init's environment (A21)", [] { return opens("/proc/1/environ", O_RDONLY); }},
    Attempt{"open the control groups (A62)", [] { return opens("/sys/fs/cgroup", O_RDONLY); }},
    Attempt{"be root (A35)", [] { return geteuid() == 0 || setuid(0) == 0; }},
    Attempt{"be pid 1 (A17)", [] { return getpid() == 1; }},
    // A null argument: EFAULT or EINVAL where the kernel looks at it at all.
    Attempt{"call clone3 (A36)",
            [] { return syscall(SYS_clone3, nullptr, 0) >= 0 || errno != ENOSYS; }},
    Attempt{"watch files (A43)", [] { return inotify_init1(IN_CLOEXEC) >= 0; }},
    Attempt{"lock a shared file (A44)",
            [] { return flock(open("/usr", O_RDONLY | O_CLOEXEC), LOCK_SH) == 0; }},
    Attempt{"make a network socket (A50)", [] { return socket(AF_INET, SOCK_STREAM, 0) >= 0; }},
    Attempt{"make a socket to the hypervisor (A54)",
            [] { return socket(AF_VSOCK, SOCK_STREAM, 0) >= 0; }},
    Attempt{"make shared memory (A57)", [] { return shmget(IPC_PRIVATE, 4096, 0600) >= 0; }},
    Attempt{"lose its work folder", [] { return !opens("assay", O_WRONLY | O_CREAT); }},
};

}  // namespace

int self_test() {
  for (size_t i = 0; i < kAttempts.size(); ++i)
    if (kAttempts[i].works()) return static_cast<int>(i) + 1;
  return 0;
}

const char* self_test_attempt(int number) {
  const size_t index = static_cast<size_t>(number) - 1;
  return index < kAttempts.size() ? kAttempts[index].what : "";
}

}  // namespace assay::sandbox
