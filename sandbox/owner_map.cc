#include "sandbox/owner_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace assay::sandbox {
namespace {

bool write_map(pid_t process, const char* file, unsigned inside, unsigned outside) {
  const Descriptor map(
      open(fmt::format("/proc/{}/{}", process, file).c_str(), O_WRONLY | O_CLOEXEC));
  const std::string line = fmt::format("{} {} 1", inside, outside);
  return map && write(map.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace

Result<Descriptor> make_owner_map(uid_t owner, gid_t group, uid_t uid, gid_t gid) {
  // A user namespace is born with a process, and lives on in the descriptor. No exit signal: the
  // program we are a library of never hears of this child.
  const pid_t holder =
      static_cast<pid_t>(syscall(SYS_clone, CLONE_NEWUSER, nullptr, nullptr, nullptr, nullptr));
  if (holder == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  Descriptor map;
  if (holder > 0 && write_map(holder, "uid_map", owner, uid) &&
      write_map(holder, "gid_map", group, gid))
    map = Descriptor(open(fmt::format("/proc/{}/ns/user", holder).c_str(), O_RDONLY | O_CLOEXEC));
  const int error = errno;
  if (holder > 0) {
    kill(holder, SIGKILL);
    waitpid(holder, nullptr, __WALL);
  }
  if (!map)
    return Error{
        ErrorKind::sandbox,
        fmt::format("cannot make a user namespace for a private mount: {}", strerror(error))};
  return map;
}

}  // namespace assay::sandbox
