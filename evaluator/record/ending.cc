#include "evaluator/record/ending.h"

#include <fmt/format.h>

#include <csignal>
#include <cstring>

#include "evaluator/record/setup.h"

namespace assay::recording {
namespace {

std::string signal_name(int signal) {
  const char* abbreviation = sigabbrev_np(signal);
  return abbreviation != nullptr ? fmt::format("SIG{}", abbreviation)
                                 : fmt::format("signal {}", signal);
}

}  // namespace

RecordFailure failure(std::string reason, std::string explanation, RecordFailure::Kind kind) {
  return {kind, std::move(reason), std::move(explanation)};
}

RecordFailure explain_end(const sandbox::Outcome& outcome, const sandbox::Limits& limits) {
  using sandbox::Exit;
  switch (outcome.exit) {
    case Exit::exited:
      if (outcome.code == kUnwritableStatus)
        return failure("exit",
                       "solve() left no room in its folder for the recording, or ended the process "
                       "instead of returning");
      return failure("exit", fmt::format("solve() ended the process with status {} instead of "
                                         "returning",
                                         outcome.code));
    case Exit::signalled:
      return failure("crash", fmt::format("host code in solve() was ended by {}",
                                          signal_name(outcome.signal)));
    case Exit::timeout:
      return failure("record_time",
                     fmt::format("solve() did not return within {} s; on the host it only has to "
                                 "launch kernels",
                                 limits.cpu.count() / 1000),
                     RecordFailure::Kind::timeout);
    case Exit::memory:
      return failure("memory", fmt::format("host code in solve() used more than {} MiB of memory",
                                           limits.memory_bytes >> 20));
    case Exit::pids:
      return failure("unsupported_call", "host code in solve() may not start threads or processes");
    case Exit::output:
      return failure("plan_limits", "host code in solve() printed or wrote too much");
    case Exit::policy_violation:
      return failure(
          "unsupported_call",
          fmt::format("host code in solve() made the system call {}: it may compute and launch "
                      "kernels, but not start threads or processes, open connections or reach "
                      "other programs",
                      outcome.system_call.empty() ? "that is not allowed" : outcome.system_call));
    case Exit::sandbox_failure:
      break;
  }
  return failure("crash", outcome.explanation);
}

std::string printable(std::string_view text, size_t most_bytes) {
  std::string clean(text.substr(0, most_bytes));
  for (char& letter : clean)
    if ((letter < ' ' && letter != '\n' && letter != '\t') || letter > '~') letter = '?';
  if (text.size() > most_bytes) clean += " ...";
  return clean;
}

}  // namespace assay::recording
