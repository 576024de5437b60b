// Theory of operation
//
// A run is three processes of ours and those of the program:
//
//   supervisor     this process. It prepares everything (launch.cc: arguments, file view, limits,
//                  filter) and clones the child into namespaces of its own (run.cc). Then it polls:
//                  a pidfd of the child, a socket of messages, stdout and stderr, a memory event,
//                  deadlines. It never trusts end-of-file, only the pidfd.
//   init           the child (child.cc, init.cc), pid 1 of its process namespace. It builds the
//                  view in a tmpfs, makes that the only root, forks the program, gives up every
//                  privilege and waits: it forwards the raw wait status, names forbidden system
//                  calls (seccomp reports them to it), kills what the program left behind and hands
//                  out requested files as descriptors. If the supervisor dies, init sees its socket
//                  close and goes; its death ends everything in the namespace.
//   program        pid 2 in a session of its own: other user id, no capability, resource limits,
//                  Landlock, then the seccomp filter, then execve. It holds no descriptor of ours.
//
// Between clone and execve the child may only make async-signal-safe calls: other threads of the
// supervisor may have held locks. So everything is prepared before, and the child only reads it.
//
// Barriers overlap on purpose. What the program sees is what was mounted; Landlock repeats that.
// There is no network namespace with an interface, and no socket call either. Memory and processes
// are limited by control groups (cgroup.cc, v2 or v1), by resource limits where groups cannot be
// used. As root the program gets a user id of its own; an ordinary user's program runs in a user
// namespace under the caller's id.
//
// What this host offers is found once by doing it (host.cc): a trial run with a self-test inside.
// What is missing is listed in Isolation::degraded; nothing is dropped silently.
#include "sandbox/sandbox.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "sandbox/host.h"
#include "sandbox/run.h"

namespace assay::sandbox {
namespace {

/// A run supervised by a thread of its own, so that its output is read and its deadlines are kept
/// while nobody waits.
class SupervisedProcess : public Process {
 public:
  explicit SupervisedProcess(std::unique_ptr<Run> run)
      : run_(std::move(run)), thread_([this] { supervise(); }) {}
  ~SupervisedProcess() override {
    kill();
    thread_.join();
  }

  void kill() override {
    run_->request_end();
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return outcome_.has_value(); });
  }

  std::optional<Outcome> wait(std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    ended_.wait_for(lock, timeout, [this] { return outcome_.has_value(); });
    return outcome_;
  }

  int pid() const override { return run_->pid(); }

 private:
  void supervise() {
    Outcome outcome = run_->supervise();
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    ended_.notify_all();
  }

  std::unique_ptr<Run> run_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<Outcome> outcome_;
  std::thread thread_;  // last: it uses all of the above
};

Result<std::unique_ptr<Run>> begin(const Command& command, const Limits& limits, Policy policy) {
  if (!means().usable) return refusal();
  ASSIGN_OR_RETURN(std::unique_ptr<Run> run, Run::launch(command, limits, policy, means()));
  RETURN_IF_ERROR(run->await_start());
  return run;
}

}  // namespace

const char* name(Exit exit) {
  switch (exit) {
    case Exit::exited:
      return "exited";
    case Exit::signalled:
      return "signalled";
    case Exit::timeout:
      return "timeout";
    case Exit::memory:
      return "memory";
    case Exit::pids:
      return "pids";
    case Exit::output:
      return "output";
    case Exit::policy_violation:
      return "policy_violation";
    case Exit::sandbox_failure:
      return "sandbox_failure";
  }
  return "sandbox_failure";
}

Result<Outcome> run(const Command& command, const Limits& limits, Policy policy) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Run> run, begin(command, limits, policy));
  return run->supervise();
}

Result<std::unique_ptr<Process>> start(const Command& command, const Limits& limits,
                                       Policy policy) {
  ASSIGN_OR_RETURN(std::unique_ptr<Run> run, begin(command, limits, policy));
  return std::unique_ptr<Process>(std::make_unique<SupervisedProcess>(std::move(run)));
}

}  // namespace assay::sandbox
