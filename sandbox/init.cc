// Init, pid 1 of a run: forwards how the program ended, ends what it left behind, and hands out the
// files that were asked for. It is ours but has no privilege; the program cannot signal it (pid 1
// takes no signal from its own namespace) nor trace it (not dumpable, and the filter forbids it).
//
// Without namespaces it is an ordinary process: Landlock keeps signals from it, it is the parent of
// the program's orphans, and it ends them all by their process group, which the filter lets nobody
// leave.
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "sandbox/child.h"

namespace assay::sandbox {
namespace {

int64_t now_us() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

int64_t in_us(const timeval& time) { return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; }

/// What init knows of the run.
struct State {
  int listener = -1;
  int work = -1;  // the work folder
  bool started = false;
  bool violated = false;
  bool exited = false;
  int status = 0;  // raw wait status of the program
  int64_t began_us = 0;
  int64_t ended_us = 0;
};

/// Takes the filter's listener from the program, which waits with its execve until it may go on.
void take_listener(const Launch& launch, const Child& child, State& state) {
  pollfd event = {child.handshake, POLLIN, 0};
  while (poll(&event, 1, -1) < 0 && errno == EINTR) {
  }
  Message message;
  Descriptor listener;
  if (!receive_message(child.handshake, message, listener)) return;  // it failed, and said so
  if (launch.listener && !listener) fail(launch, Stage::listener, EBADF);
  state.listener = listener.release();
  state.began_us = now_us();
}

/// SIGKILL for the program and all that it started.
void kill_all(const Launch& launch, const Child& child) {
  kill(launch.namespaces ? -1 : -child.process, SIGKILL);
}

/// Closes what only the program needs, so that its peers see it go.
void close_programs_descriptors(const Launch& launch) {
  close(launch.standard_input);
  close(launch.standard_output);
  close(launch.standard_error);
  for (const int descriptor : launch.descriptors) close(descriptor);
}

void let_go(const Launch& launch, const Child& child) {
  if (!launch.namespaces) {
    Message message;
    message.kind = Message::Kind::group;
    message.number = child.process;
    send_message(launch.control, message);
  }
  const char go = 1;
  if (write(child.handshake, &go, 1) != 1) errno = 0;  // it died: the wait will tell
}

/// Collects the dead; all of them, if `to_the_last`.
void reap(const Child& child, State& state, bool to_the_last) {
  for (;;) {
    int status = 0;
    const pid_t dead = waitpid(-1, &status, __WALL | (to_the_last ? 0 : WNOHANG));
    if (dead < 0 && errno == EINTR) continue;
    if (dead <= 0) return;
    if (dead != child.process) continue;
    state.status = status;
    state.exited = true;
    state.ended_us = now_us();
  }
}

/// One report of the filter: the first execve of a program that may have no other is ours.
void answer(const Launch& launch, State& state) {
  // The kernel's structure may be newer and larger than the header's.
  alignas(seccomp_notif) char buffer[1024] = {};
  if (ioctl(state.listener, SECCOMP_IOCTL_NOTIF_RECV, buffer) != 0) return;
  seccomp_notif request = {};
  memcpy(&request, buffer, sizeof(request));
  if (launch.executes_once && !state.started && request.data.nr == SYS_execve) {
    state.started = true;
    alignas(seccomp_notif_resp) char reply[1024] = {};
    seccomp_notif_resp response = {};
    response.id = request.id;
    response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    memcpy(reply, &response, sizeof(response));
    ioctl(state.listener, SECCOMP_IOCTL_NOTIF_SEND, reply);
    return;
  }
  Message message;
  message.kind = Message::Kind::violation;
  message.number = request.data.nr;
  message.architecture = request.data.arch;
  send_message(launch.control, message);
  state.violated = true;
}

void drain(int signals) {
  char buffer[1024];
  while (read(signals, buffer, sizeof(buffer)) > 0) {
  }
}

/// The supervisor is gone, and takes the run with it.
[[noreturn]] void end_alone(const Launch& launch, const Child& child, State& state) {
  if (!launch.namespaces) {
    kill_all(launch, child);
    reap(child, state, true);
    remove_work_folder(launch.work_path.c_str());
  }
  _exit(125);
}

/// Until the program has ended, or did what its policy forbids.
void watch(const Launch& launch, Child& child, State& state) {
  while (!state.exited && !state.violated) {
    pollfd events[] = {{launch.control, 0, 0},
                       {child.signals, POLLIN, 0},
                       {state.listener, POLLIN, 0},
                       {child.handshake, POLLIN, 0}};
    if (poll(events, 4, -1) < 0 && errno != EINTR) _exit(125);
    if (events[0].revents != 0) end_alone(launch, child, state);
    if ((events[2].revents & POLLIN) != 0) {
      answer(launch, state);
    } else if (events[2].revents != 0) {  // nobody is left under the filter
      close(state.listener);
      state.listener = -1;
    }
    if (events[3].revents != 0) {  // closed by execve, or by death
      close(child.handshake);
      child.handshake = -1;
      Message message;
      message.kind = Message::Kind::started;
      send_message(launch.control, message);
    }
    if (events[1].revents != 0) {
      drain(child.signals);
      reap(child, state, false);
    }
  }
}

/// A requested file, if it is a plain file of the work folder itself; no link is followed.
int open_output(const Launch& launch, int work, const char* name) {
  open_how how = {};
  how.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  const int file = static_cast<int>(syscall(SYS_openat2, work, name, &how, sizeof(how)));
  struct stat status = {};
  if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
      static_cast<size_t>(status.st_size) <= launch.file_bytes)
    return file;
  if (file >= 0) close(file);
  return -1;
}

void hand_out(const Launch& launch, int work) {
  for (size_t i = 0; i < launch.outputs.size(); ++i) {
    const int file = open_output(launch, work, launch.outputs[i].c_str());
    if (file < 0) continue;
    Message message;
    message.kind = Message::Kind::file;
    message.index = static_cast<int>(i);
    send_message(launch.control, message, file);
    close(file);
  }
}

void report(const Launch& launch, const State& state) {
  rusage usage = {};
  getrusage(RUSAGE_CHILDREN, &usage);
  Message message;
  message.kind = Message::Kind::ended;
  message.status = state.status;
  message.wall_us = state.began_us == 0 ? 0 : state.ended_us - state.began_us;
  message.cpu_us = in_us(usage.ru_utime) + in_us(usage.ru_stime);
  message.peak_bytes = int64_t{usage.ru_maxrss} * 1024;
  send_message(launch.control, message);
}

}  // namespace

void init_main(const Launch& launch, Child child) {
  State state;
  take_listener(launch, child, state);
  drop_privileges(launch);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  prctl(PR_SET_NAME, "assay-init", 0, 0, 0);
  state.work = open(launch.work_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  close_programs_descriptors(launch);
  let_go(launch, child);

  watch(launch, child, state);
  kill_all(launch, child);
  reap(child, state, true);
  if (!state.violated) hand_out(launch, state.work);
  report(launch, state);
  _exit(0);
}

}  // namespace assay::sandbox
