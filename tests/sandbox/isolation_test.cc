// What a program finds inside, what it leaves behind, and many runs at once.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/files.h"
#include "payload_run.h"
#include "sandbox/host.h"

namespace assay::sandbox {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// What can be read; the file of a process that ends meanwhile stops early.
std::string read_all(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

size_t entries(const fs::path& folder) {
  size_t count = 0;
  std::error_code error;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder, error)) ++count;
  return count;
}

/// An argument that only this test's own payloads have: it may run several times at once, as
/// different users.
std::string marker(const std::string& what) { return what + "-" + std::to_string(getpid()); }

/// Processes on this machine with `marker` in their command line.
size_t payload_processes(const std::string& marker) {
  size_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error))
    if (read_all(entry.path() / "cmdline").find(marker) != std::string::npos) ++count;
  return count;
}

size_t leftover_groups() {
  size_t count = 0;
  const CgroupMeans& groups = means().cgroups;
  const std::string mine = "assay-" + std::to_string(getpid()) + "-";
  for (const fs::path* folder : {&groups.v2, &groups.memory, &groups.pids, &groups.cpu}) {
    std::error_code error;
    if (folder->empty()) continue;
    for (const auto& entry : fs::directory_iterator(*folder, error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(mine) && name != mine + "home") ++count;
    }
  }
  return count;
}

/// Work folders on the disk: with namespaces there are none. Elsewhere only where the folder for
/// temporary files is this test's own (as_user.sh), so that no other's are counted.
size_t work_folders() {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(fs::temp_directory_path()))
    if (getenv("ASSAY_EXPECTED_TIER") &&
        entry.path().filename().string().starts_with("assay-work-"))
      ++count;
  return count;
}

TEST(Isolation, IsReportedWithReasons) {
  const Isolation& found = isolation();
  EXPECT_TRUE(found.seccomp);
  EXPECT_LE(found.tier, 3);
  EXPECT_EQ(found.namespaces, found.tier <= 2);
  // as_user.sh says what somebody with fewer rights gets.
  if (const char* tier = getenv("ASSAY_EXPECTED_TIER")) {
    EXPECT_EQ(found.tier, atoi(tier));
    EXPECT_FALSE(found.degraded.empty());
  }
  for (const Degradation& each : found.degraded) {
    EXPECT_FALSE(each.property.empty());
    EXPECT_FALSE(each.reason.empty()) << each.property;
  }
  EXPECT_TRUE(require(Requirement::none).ok());
  EXPECT_EQ(require(Requirement::namespaces).ok(), found.namespaces);
  EXPECT_EQ(require(Requirement::full).ok(), found.degraded.empty());
}

TEST(Isolation, ProgramIsNeitherPidOneNorRoot) {
  const Outcome outcome = run_payload({"identity"});
  int pid = 0, parent = 0, user = 0, session = 0;
  ASSERT_EQ(sscanf(outcome.standard_output.c_str(), "pid %d ppid %d uid %d session %d", &pid,
                   &parent, &user, &session),
            4)
      << outcome.standard_output;
  EXPECT_NE(pid, 1);
  EXPECT_NE(user, 0);
  EXPECT_EQ(session, pid);
  if (isolation().namespaces) {
    EXPECT_EQ(pid, 2);
    EXPECT_EQ(parent, 1);
  }
}

TEST(Isolation, EnvironmentHoldsOnlyWhatWasGiven) {
  setenv("ASSAY_TEST_SECRET", "hidden", 1);
  EXPECT_EQ(run_payload({"environment"}).standard_output, "");
  Command command = payload({"environment"});
  command.environment = {{"A", "1"}, {"B", "two words"}};
  const Result<Outcome> result = run(command, {}, Policy::compiler);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->standard_output, "A=1\nB=two words\n");
}

TEST(Isolation, NoDescriptorOfTheCallerLeaks) {
  const int leaking = open("/dev/null", O_RDONLY);  // without O_CLOEXEC, on purpose
  const int high = fcntl(leaking, F_DUPFD, 700);
  EXPECT_EQ(run_payload({"descriptors"}).standard_output, "0 1 2 \n");
  close(leaking);
  close(high);
}

TEST(Isolation, GivenDescriptorsArriveInOrder) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Command command = payload({"descriptors"});
  command.descriptors = {ends[1], ends[0], ends[1]};
  const Result<Outcome> result = run(command, {}, Policy::recorder);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->standard_output, "0 1 2 3 4 5 \n");
  close(ends[0]);
  close(ends[1]);
}

TEST(Isolation, OrphansOfOtherSessionsAreGoneAfterwards) {
  const auto began = std::chrono::steady_clock::now();
  const Outcome outcome = run_payload({"orphans", "30", marker("orphan")});
  // They hold stdout: a reader that waited for its end would hang.
  EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(3000));
  EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
  EXPECT_EQ(outcome.standard_output, "left\n");
  EXPECT_EQ(payload_processes(marker("orphan")), 0u);
}

TEST(Isolation, InitSurvivesEverySignalOfTheProgram) {
  const Outcome outcome = run_payload({"signal-init"});
  EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
  EXPECT_EQ(outcome.code, 0);
}

TEST(Isolation, LeavesNoMountGroupOrDescriptor) {
  run_payload({"exit", "0"});
  const std::string mounts = read_all("/proc/self/mountinfo");
  const size_t descriptors = entries("/proc/self/fd");
  for (const char* action : {"identity", "spin", "ptrace-me"}) {
    Limits limits;
    limits.wall = milliseconds(100);
    run_payload({action}, Policy::python, limits);
  }
  EXPECT_EQ(read_all("/proc/self/mountinfo"), mounts);
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
  EXPECT_EQ(leftover_groups(), 0u);
  EXPECT_EQ(work_folders(), 0u);
}

TEST(Isolation, DiesWithItsSupervisor) {
  // A supervisor that is killed in the middle of a run takes the run with it.
  const std::string own = marker("supervisor");
  const pid_t supervisor = fork();
  if (supervisor == 0) {
    Limits limits;
    limits.wall = milliseconds(20'000);
    (void)run(payload({"sleep", own}), limits, Policy::compiler);
    _exit(0);
  }
  for (int i = 0; i < 200 && payload_processes(own) == 0; ++i)
    std::this_thread::sleep_for(milliseconds(10));
  ASSERT_GE(payload_processes(own), 1u);
  kill(supervisor, SIGKILL);
  waitpid(supervisor, nullptr, 0);
  for (int i = 0; i < 200 && payload_processes(own) != 0; ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(payload_processes(own), 0u);
  // Where it is no tmpfs, init removes the work folder.
  for (int i = 0; i < 200 && work_folders() != 0; ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(work_folders(), 0u);
}

TEST(Isolation, IsPartOfEveryOutcome) {
  const Outcome outcome = run_payload({"exit", "0"});
  EXPECT_EQ(outcome.tier, isolation().tier);
  EXPECT_EQ(outcome.degraded.size(), isolation().degraded.size());
}

/// Waits until the process exists and kills it, as an operator or the kernel might.
void kill_from_outside(const std::string& marker) {
  for (int attempt = 0; attempt < 500; ++attempt) {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const int pid = atoi(entry.path().filename().c_str());
      const std::string line = read_all(entry.path() / "cmdline");
      if (pid > 0 && pid != getpid() && line.starts_with(SANDBOX_PAYLOAD) &&
          line.find(marker) != std::string::npos) {
        kill(pid, SIGKILL);
        return;
      }
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
}

TEST(Faults, AKillFromOutsideIsNotTheProgramsOwnEnd) {
  for (const Policy policy : {Policy::recorder, Policy::gpu_runner}) {
    std::thread killer([] { kill_from_outside(marker("outside")); });
    const Outcome outcome = run_payload({"sleep", marker("outside")}, policy);
    killer.join();
    EXPECT_EQ(outcome.exit, Exit::sandbox_failure) << outcome.explanation;
    EXPECT_NE(outcome.explanation.find("from outside"), std::string::npos);
  }
}

TEST(Faults, ARecorderCannotFakeAKillFromOutside) {
  for (const Policy policy : {Policy::recorder, Policy::gpu_runner}) {
    const Outcome outcome = run_payload({"raise", std::to_string(SIGKILL)}, policy);
    EXPECT_EQ(outcome.exit, Exit::policy_violation) << outcome.explanation;
    for (const int allowed : {SIGTERM, SIGABRT, SIGSEGV, SIGUSR1})
      EXPECT_EQ(run_payload({"raise", std::to_string(allowed)}, policy).signal, allowed);
  }
  EXPECT_EQ(run_payload({"high-kill"}, Policy::recorder).exit, Exit::policy_violation);
}

TEST(Faults, ADeadInitIsASandboxFailure) {
  Limits limits;
  limits.wall = milliseconds(20'000);
  Result<std::unique_ptr<Process>> process =
      start(payload({"sleep", marker("init")}), limits, Policy::recorder);
  ASSERT_TRUE(process.ok()) << process.error().message;
  kill((*process)->pid(), SIGKILL);
  const std::optional<Outcome> outcome = (*process)->wait(milliseconds(10'000));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->exit, Exit::sandbox_failure) << outcome->explanation;
  EXPECT_EQ(payload_processes(marker("init")), 0u);
}

TEST(Faults, AGroupThatCannotBeMadeIsNamed) {
  CgroupMeans groups;
  groups.memory = "/sys/fs/cgroup/no-such-folder";
  const Result<Cgroup> group = Cgroup::create(groups, {});
  ASSERT_FALSE(group.ok());
  EXPECT_EQ(group.error().kind, ErrorKind::sandbox);
  EXPECT_NE(group.error().message.find("/sys/fs/cgroup/no-such-folder"), std::string::npos)
      << group.error().message;
}

TEST(Isolation, LimitsTheShareOfTheProcessors) {
  if (!means().cgroups.limits_processors()) GTEST_SKIP() << "no cpu controller can be used here";
  Limits limits;
  limits.wall = milliseconds(1000);
  limits.cpu = milliseconds(0);
  limits.processors = 0.25;
  const Outcome outcome = run_payload({"spin-threads", "3"}, Policy::compiler, limits);
  EXPECT_EQ(outcome.exit, Exit::timeout);
  EXPECT_LT(outcome.cpu, milliseconds(600));
}

TEST(Policies, LetARecorderHaveThreads) {
  const Outcome outcome = run_payload({"threads", "20"}, Policy::recorder);
  EXPECT_EQ(outcome.exit, Exit::exited) << outcome.explanation;
  EXPECT_EQ(outcome.code, 0) << outcome.standard_output;
}

TEST(Policies, LetARunnerReadItsOwnProcess) {
  EXPECT_EQ(run_payload({"read", "/proc/self/maps"}, Policy::gpu_runner).standard_output,
            "worked\n");
}

TEST(Isolation, SixteenRunsInFourThreadsDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&right, t] {
      for (int i = 0; i < 4; ++i) {
        Command command = payload({"copy"});
        command.stdin_content = "run " + std::to_string(t) + " " + std::to_string(i);
        command.inputs = {{"in", command.stdin_content, false}};
        command.outputs = {"in"};
        const Result<Outcome> result = run(command, {}, Policy::recorder);
        if (result.ok() && result->exit == Exit::exited &&
            result->standard_output == command.stdin_content &&
            result->outputs.at("in") == command.stdin_content)
          ++right;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 16);
  EXPECT_EQ(leftover_groups(), 0u);
}

}  // namespace
}  // namespace assay::sandbox
