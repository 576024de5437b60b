// Each way to end, and each limit, as the outcome tells it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "payload_run.h"

namespace assay::sandbox {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

milliseconds since(Clock::time_point began) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - began);
}

TEST(Exit, TellsTheExitStatus) {
  for (const int code : {0, 1, 42, 137, 139, 255}) {
    const Outcome outcome = run_payload({"exit", std::to_string(code)});
    EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
    EXPECT_EQ(outcome.code, code);
  }
}

TEST(Exit, TellsTheSignal) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGKILL, SIGTERM}) {
    const Outcome outcome = run_payload({"raise", std::to_string(signal)});
    EXPECT_EQ(outcome.exit, Exit::signalled) << outcome.explanation;
    EXPECT_EQ(outcome.signal, signal);
  }
}

/// Runs until the wall limit, and returns by how much the whole call exceeded it: the least of
/// three, as the machine may be busy with other things.
milliseconds overtime(const char* action) {
  Limits limits;
  limits.wall = milliseconds(300);
  limits.cpu = milliseconds(0);
  milliseconds least = milliseconds::max();
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto began = Clock::now();
    const Outcome outcome = run_payload({action}, Policy::compiler, limits);
    least = std::min(least, since(began) - limits.wall);
    EXPECT_EQ(outcome.exit, Exit::timeout) << outcome.explanation;
    EXPECT_GE(outcome.wall, limits.wall);
  }
  return least;
}

TEST(Exit, EndsAnEndlessLoopAtTheWallLimit) { EXPECT_LT(overtime("spin"), milliseconds(300)); }

TEST(Exit, EndsASleeperThatBlocksAllSignals) { EXPECT_LT(overtime("sleep"), milliseconds(300)); }

TEST(Exit, EndsAProgramThatStopsItself) {
  Limits limits;
  limits.wall = milliseconds(300);
  EXPECT_EQ(run_payload({"raise", std::to_string(SIGSTOP)}, Policy::compiler, limits).exit,
            Exit::timeout);
}

TEST(Exit, LimitsProcessorTimeOfOneProcess) {
  Limits limits;
  limits.wall = milliseconds(8000);
  limits.cpu = milliseconds(500);
  const Outcome outcome = run_payload({"spin"}, Policy::compiler, limits);
  EXPECT_EQ(outcome.exit, Exit::timeout) << outcome.explanation;
  EXPECT_LT(outcome.wall, milliseconds(6000));
}

TEST(Exit, LimitsProcessorTimeOfAllThreadsTogether) {
  Limits limits;
  limits.wall = milliseconds(20'000);
  limits.cpu = milliseconds(1000);
  const Outcome outcome = run_payload({"spin-threads", "3"}, Policy::compiler, limits);
  EXPECT_EQ(outcome.exit, Exit::timeout) << outcome.explanation;
  EXPECT_LT(outcome.cpu, milliseconds(2500));
}

TEST(Exit, EndsAMemoryHog) {
  Limits limits;
  limits.memory_bytes = size_t{64} << 20;
  const Outcome outcome = run_payload({"memory", "4000"}, Policy::compiler, limits);
  if (isolation().cgroup.empty() && outcome.exit == Exit::exited) {
    EXPECT_EQ(outcome.standard_output, "out of memory\n");  // faster than the polling
  } else {
    EXPECT_EQ(outcome.exit, Exit::memory) << outcome.explanation;
  }
  EXPECT_LE(outcome.peak_memory_bytes, 3 * limits.memory_bytes);
}

TEST(Exit, CountsAMemoryHogThatIsAChildOfASurvivor) {
  Limits limits;
  limits.memory_bytes = size_t{256} << 20;
  const Outcome outcome = run_payload({"memory-in-child", "4000"}, Policy::compiler, limits);
  EXPECT_EQ(outcome.exit, Exit::memory) << outcome.explanation;
}

TEST(Exit, AllowsMemoryBelowTheLimit) {
  Limits limits;
  limits.memory_bytes = size_t{128} << 20;
  const Outcome outcome = run_payload({"memory", "64"}, Policy::compiler, limits);
  EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
  EXPECT_GE(outcome.peak_memory_bytes, size_t{64} << 20);
}

TEST(Exit, ContainsAForkBomb) {
  Limits limits;
  limits.processes = 16;
  const Outcome outcome = run_payload({"fork-bomb"}, Policy::compiler, limits);
  for (const Degradation& each : isolation().degraded)
    if (each.property == "process limit") {
      EXPECT_EQ(outcome.exit, Exit::exited);
      EXPECT_EQ(outcome.standard_output, "EAGAIN\n");
      return;
    }
  EXPECT_EQ(outcome.exit, Exit::pids) << outcome.explanation;
}

TEST(Exit, KeepsFrontAndBackOfAFlood) {
  Limits limits;
  limits.output_bytes = 4096;
  for (const char* stream : {"1", "2"}) {
    const Outcome outcome = run_payload({"flood", stream, "500000"}, Policy::compiler, limits);
    EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
    EXPECT_TRUE(outcome.output_truncated);
    const std::string& text = *stream == '1' ? outcome.standard_output : outcome.standard_error;
    EXPECT_TRUE(text.starts_with("beginxxx")) << text.substr(0, 40);
    EXPECT_TRUE(text.ends_with("xxxend")) << text.substr(text.size() - 40);
    EXPECT_LT(text.size(), 4200u);
  }
}

TEST(Exit, EndsAnEndlessFlood) {
  Limits limits;
  limits.output_bytes = 65536;
  const Outcome outcome = run_payload({"flood", "1", "-1"}, Policy::compiler, limits);
  EXPECT_EQ(outcome.exit, Exit::output) << outcome.explanation;
  EXPECT_TRUE(outcome.output_truncated);
}

TEST(Exit, LimitsTheSizeOfAFile) {
  Limits limits;
  limits.file_bytes = size_t{1} << 20;
  EXPECT_EQ(run_payload({"write", "big", "3000000"}, Policy::compiler, limits).exit, Exit::output);
  EXPECT_EQ(run_payload({"sparse", "big", "3000000"}, Policy::compiler, limits).exit, Exit::output);
  EXPECT_EQ(run_payload({"write", "small", "1000000"}, Policy::compiler, limits).code, 0);
}

TEST(Exit, LimitsTheWorkFolder) {
  Limits limits;
  limits.work_bytes = size_t{1} << 20;
  expect_no_space(run_payload({"write", "big", "3000000"}, Policy::compiler, limits));
}

TEST(Exit, NamesTheForbiddenCall) {
  const Outcome outcome = run_payload({"ptrace-me"});
  EXPECT_EQ(outcome.exit, Exit::policy_violation) << outcome.explanation;
  if (isolation().degraded.empty()) {
    EXPECT_EQ(outcome.system_call, "ptrace");
  }
}

TEST(Exit, SaysWhichProgramDoesNotExist) {
  Command command;
  command.arguments = {"/usr/bin/no-such-program"};
  const Result<Outcome> result = run(command, {}, Policy::compiler);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::sandbox);
  EXPECT_NE(result.error().message.find("/usr/bin/no-such-program"), std::string::npos);
}

TEST(Exit, HasANameForEachKind) {
  EXPECT_STREQ(name(Exit::policy_violation), "policy_violation");
  EXPECT_STREQ(name(Exit::memory), "memory");
}

}  // namespace
}  // namespace assay::sandbox
