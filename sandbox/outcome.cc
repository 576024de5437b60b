// What became of a run: exactly one reason, from what the supervisor, init and the groups saw.
#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "sandbox/filter.h"
#include "sandbox/run.h"

namespace assay::sandbox {

using std::chrono::microseconds;

Outcome Run::outcome() {
  Outcome outcome;
  outcome.standard_output = streams_[0].capture.text();
  outcome.standard_error = streams_[1].capture.text();
  outcome.output_truncated = streams_[0].capture.truncated() || streams_[1].capture.truncated();
  outcome.outputs = std::move(outputs_);
  const auto elapsed = std::chrono::duration_cast<microseconds>(
      (cause_ == Cause::none ? Clock::now() : killed_) - began_);
  outcome.wall = ended_ && cause_ == Cause::none ? microseconds(ended_->wall_us) : elapsed;
  outcome.cpu = cpu_.value_or(microseconds(0));
  outcome.peak_memory_bytes = peak_bytes_;
  outcome.tier = launch_.isolation.tier;
  outcome.degraded = launch_.isolation.degraded;
  classify(outcome);
  if (outcome.exit != Exit::exited) outcome.outputs.clear();
  if (out_of_processes_ && outcome.exit != Exit::pids)
    outcome.explanation +=
        fmt::format("; on its way it reached its limit of {} processes", limits_.processes);
  return outcome;
}

/// Exactly one reason: what is ours first, then limits, then the program's own end.
void Run::classify(Outcome& outcome) const {
  const auto set = [&](Exit exit, std::string explanation) {
    outcome.exit = exit;
    outcome.explanation = std::move(explanation);
  };
  if (stuck_)
    return set(
        Exit::sandbox_failure,
        fmt::format("the program did not die within {} s of being killed", kTeardownTime.count()));
  if (violation_) {
    outcome.system_call = system_call_name(violation_->architecture, violation_->number);
    const std::string call = outcome.system_call.empty()
                                 ? fmt::format("number {}", violation_->number)
                                 : outcome.system_call;
    return set(Exit::policy_violation,
               fmt::format("the program made the forbidden system call {}", call));
  }
  if (out_of_memory_)
    return set(Exit::memory, fmt::format("the program needed more than its {} MiB of memory",
                                         limits_.memory_bytes >> 20));
  switch (cause_) {
    case Cause::wall:
      return set(Exit::timeout, fmt::format("the program ran longer than its limit of {} ms",
                                            limits_.wall.count()));
    case Cause::cpu:
      return set(Exit::timeout,
                 fmt::format("the program used more than its {} ms of processor time",
                             limits_.cpu.count()));
    case Cause::output:
      return set(Exit::output, fmt::format("the program printed more than {} times the {} bytes "
                                           "that are kept of its output",
                                           kDrainFactor, limits_.output_bytes));
    case Cause::disk:
      return set(Exit::output,
                 fmt::format("the program's work folder grew beyond {} bytes, {} entries or what "
                             "can be counted",
                             limits_.work_bytes, kWorkInodes));
    case Cause::request:
      outcome.signal = SIGKILL;
      return set(Exit::signalled, "the program was ended by its owner");
    case Cause::memory:
    case Cause::none:
      break;
  }
  if (!ended_) return set(Exit::sandbox_failure, "the sandbox's init died");
  classify_status(outcome);
}

void Run::classify_status(Outcome& outcome) const {
  const int status = ended_->status;
  const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!clean && limits_.cpu.count() > 0 && outcome.cpu >= limits_.cpu) {
    // RLIMIT_CPU may end one of its processes, or itself by SIGKILL, sooner than check_usage().
    outcome.exit = Exit::timeout;
    outcome.explanation = "the program used up its processor time and failed";
  } else if (WIFEXITED(status)) {
    outcome.exit = Exit::exited;
    outcome.code = WEXITSTATUS(status);
    outcome.explanation = fmt::format("the program exited with status {}", outcome.code);
  } else {
    outcome.exit = Exit::signalled;
    outcome.signal = WTERMSIG(status);
    outcome.explanation = fmt::format("the program was ended by signal {} ({})", outcome.signal,
                                      strsignal(outcome.signal));
    if (outcome.signal == SIGXCPU) outcome.exit = Exit::timeout;
    if (outcome.signal == SIGKILL && launch_.kill_is_foreign) {
      outcome.exit = Exit::sandbox_failure;
      outcome.explanation = "the program was killed from outside the sandbox";
    }
    if (outcome.signal == SIGXFSZ) {
      outcome.exit = Exit::output;
      outcome.explanation =
          fmt::format("the program wrote a file of more than {} bytes", limits_.file_bytes);
    }
    if (outcome.signal == SIGSYS) {
      outcome.exit = Exit::policy_violation;
      outcome.explanation =
          "the program made a forbidden system call, or one of a foreign "
          "architecture; the kernel does not tell which";
    }
  }
  if (!clean && out_of_processes_) {
    outcome.exit = Exit::pids;
    outcome.explanation =
        fmt::format("the program needed more than its {} processes", limits_.processes);
  }
}

}  // namespace assay::sandbox
