// Programs that use resources up, linger or leave things behind. Each takes a bound, so that it can
// be shown to work outside the sandbox without harm; each cleans up after itself where it works.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "payload.h"

namespace {

constexpr size_t kMega = size_t{1} << 20;

long number(const Arguments& arguments, size_t index) { return atol(arguments.at(index).c_str()); }

/// Starts that many sleeping processes at once.
int fork_many(const Arguments& arguments) {
  std::vector<pid_t> children;
  int error = 0;
  while (error == 0 && static_cast<long>(children.size()) < number(arguments, 0)) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    if (child < 0) {
      error = errno;
    } else {
      children.push_back(child);
    }
  }
  for (const pid_t child : children) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  return error;
}

/// For some milliseconds a process that is always a new one, in a session of its own: whoever kills
/// by process id comes too late. The program itself ends at once.
int fork_chain(const Arguments& arguments) {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto milliseconds = [](const timespec& time) {
    return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
  };
  const long end = milliseconds(now) + number(arguments, 0);
  if (fork() != 0) return 0;
  while (milliseconds(now) < end) {
    setsid();
    if (fork() != 0) _exit(0);
    clock_gettime(CLOCK_MONOTONIC, &now);
  }
  _exit(0);
}

/// That many dead children, none of them waited for.
int leave_zombies(const Arguments& arguments) {
  for (long i = 0; i < number(arguments, 0); ++i) {
    const pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) _exit(0);
  }
  return 0;
}

/// That many orphans one after another, each of which ends at once: somebody must reap them. Where
/// no process can be made, waits a while for that.
int bury_orphans(const Arguments& arguments) {
  int patience = 200;
  for (long i = 0; i < number(arguments, 0);) {
    const pid_t child = fork();
    if (child == 0) _exit(fork() < 0 ? 1 : 0);
    int status = 1;
    if (child > 0) waitpid(child, &status, 0);
    if (status == 0) {
      ++i;
      continue;
    }
    if (--patience == 0) return EAGAIN;
    usleep(10'000);
  }
  return 0;
}

/// Writes that many MiB to files of 16 MiB in a folder.
int fill_folder(const Arguments& arguments) {
  static char block[kMega];
  memset(block, 1, sizeof(block));
  std::vector<std::string> names;
  int error = 0;
  int file = -1;
  for (long i = 0; i < number(arguments, 1) && error == 0; ++i) {
    if (i % 16 == 0) {
      if (file >= 0) close(file);
      names.push_back(arguments.at(0) + "/assay-fill-" + std::to_string(getpid()) + "-" +
                      std::to_string(i));
      file = open(names.back().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    errno = EIO;  // of a short write
    if (file < 0 || write(file, block, sizeof(block)) != static_cast<ssize_t>(sizeof(block)))
      error = errno == EIO ? ENOSPC : errno;
  }
  for (const std::string& name : names) unlink(name.c_str());
  return error;
}

/// The same in one file that stays, for ever.
int fill_and_sleep(const Arguments& arguments) {
  const int file = open((arguments.at(0) + "/assay-fill").c_str(), O_WRONLY | O_CREAT, 0600);
  const std::string block(kMega, 'x');
  for (long i = 0; i < number(arguments, 1); ++i)
    if (write(file, block.data(), block.size()) < 0) return errno;
  for (;;) pause();
}

int fill_anonymous_file(const Arguments& arguments) {
  static char block[kMega];
  const long file = syscall(SYS_memfd_create, "x", 0);
  if (file < 0) return errno;
  for (long i = 0; i < number(arguments, 0); ++i)
    if (write(static_cast<int>(file), block, sizeof(block)) < 0) return errno;
  return 0;
}

/// Folders in folders, then out of the deepest.
int make_deep_tree(const Arguments& arguments) {
  for (long i = 0; i < number(arguments, 0); ++i)
    if (mkdir("\n", 0700) != 0 || chdir("\n") != 0) return errno;
  return 0;
}

/// Worked: a crash left a core dump. The folder is the current one, or wherever the host's
/// kernel.core_pattern sends it.
int dump_core(const Arguments&) {
  rlimit limit = {};
  getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_CORE, &limit);
  const pid_t child = fork();
  if (child == 0) abort();
  int status = 0;
  waitpid(child, &status, 0);
  unlink("core");
  unlink(("core." + std::to_string(child)).c_str());
  return WIFSIGNALED(status) && WCOREDUMP(status) ? 0 : EPERM;
}

/// Leaves a process behind that keeps replacing the file `out`, and ends when the file is there.
int swap_output(const Arguments&) {
  if (fork() == 0) {
    setsid();
    for (unsigned round = 0;; ++round) {
      const int file = open("next", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      std::string text(size_t{64} << 10, round % 2 == 0 ? 'a' : 'b');
      if (write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(1);
      close(file);
      rename("next", "out");
    }
  }
  while (access("out", R_OK) != 0) usleep(1000);
  return 0;
}

/// What a terminal or a decoder of text stumbles over: NUL, escapes, bad UTF-8, no newline.
int print_noise(const Arguments&) {
  constexpr char kNoise[] = "a\0b\033[2J\033]0;title\007\xff\xc3\x28\r\b";
  return write(1, kNoise, sizeof(kNoise) - 1) == sizeof(kNoise) - 1 ? 0 : errno;
}

/// Worked: processes other than its own and the run's init are visible.
int list_processes(const Arguments&) {
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return errno;
  int others = 0;
  while (const dirent* entry = readdir(folder))
    if (isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0) {
      const long process = atol(entry->d_name);
      if (process != 1 && process != getpid()) ++others;
    }
  closedir(folder);
  return others > 0 ? 0 : ESRCH;
}

int stop_itself(const Arguments&) { return raise(SIGSTOP); }

int write_marker(const Arguments& arguments) {
  const int file = open(arguments.at(0).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return file < 0 ? errno : 0;
}

}  // namespace

const std::map<std::string, Action>& bombs() {
  static const std::map<std::string, Action> table = {
      {"fork-many", fork_many},
      {"fork-chain", fork_chain},
      {"zombies", leave_zombies},
      {"bury-orphans", bury_orphans},
      {"fill", fill_folder},
      {"fill-and-sleep", fill_and_sleep},
      {"memfd-fill", fill_anonymous_file},
      {"deep-tree", make_deep_tree},
      {"core-dump", dump_core},
      {"swap-output", swap_output},
      {"noise", print_noise},
      {"list-processes", list_processes},
      {"stop", stop_itself},
      {"mark", write_marker},
  };
  return table;
}
