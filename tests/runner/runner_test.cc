#include "evaluator/runner/runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "evaluator/runner/limits.h"
#include "tests/runner/doubling_job.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

RunnerOptions options() {
  RunnerOptions options;
  options.program = FAKE_RUNNER;
  return options;
}

/// Options with which a job that gets no answer ends soon.
RunnerOptions impatient() {
  RunnerOptions result = options();
  result.start_seconds = 10;
  result.overhead_seconds = 1;
  return result;
}

std::unique_ptr<Runner> start(const std::string& behaviour, const RunnerOptions& with = options()) {
  Result<std::unique_ptr<Runner>> runner = Runner::start(behaviour, with);
  EXPECT_TRUE(runner.ok()) << runner.error().message;
  return runner.ok() ? *std::move(runner) : nullptr;
}

bool exists(int pid) { return kill(pid, 0) == 0; }

/// Waits until the process is gone: whoever adopted it must have noticed.
bool vanishes(int pid) {
  for (int i = 0; i < 500 && exists(pid); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return !exists(pid);
}

Result<CheckReport> check(Runner& runner, const std::string& kernel, double deadline = 0.1) {
  DoublingJob doubling(kernel);
  doubling.job.run.deadline_seconds = deadline;
  return runner.check(doubling.job);
}

void expect_works(Runner& runner) {
  const auto report = check(runner, "doubles");
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->outcome, Outcome::correct) << report->explanation;
}

TEST(Runner, AnswersJobAfterJobFromOneProcess) {
  const auto runner = start("working");
  ASSERT_NE(runner, nullptr);
  const int pid = runner->pid();
  for (int i = 0; i < 3; ++i) expect_works(*runner);
  EXPECT_EQ(runner->pid(), pid);
  EXPECT_TRUE(runner->alive());
}

TEST(Runner, ReturnsTensorsThatWereAskedFor) {
  const auto runner = start("working");
  ASSERT_NE(runner, nullptr);
  DoublingJob doubling;
  doubling.job.want_outputs = doubling.job.want_expected = true;
  const auto report = runner->check(doubling.job);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->outputs.at("y").size(), 4 * kJobElements);
  EXPECT_EQ(report->outputs.at("y"), report->expected.at("y"));
  EXPECT_EQ(report->inputs.at("x").size(), 4 * kJobElements);
}

TEST(Runner, HoldsMoreCandidatesThanItCanKeep) {
  const auto runner = start("working");
  ASSERT_NE(runner, nullptr);
  for (int round = 0; round < 2; ++round)
    for (size_t i = 0; i < kRunnerArtifacts + 5; ++i) {
      const auto report = check(*runner, "doubles " + std::to_string(i));
      ASSERT_TRUE(report.ok()) << report.error().message;
      EXPECT_EQ(report->outcome, Outcome::correct);
    }
}

TEST(Runner, ADeviceThatDoesNotExistIsAnError) {
  const auto runner = Runner::start("no device", options());
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().kind, ErrorKind::not_found);
  EXPECT_EQ(runner.error().message, "there is no GPU number 7");
}

TEST(Runner, AProcessThatEndsAtOnceSaysWhy) {
  const auto runner = Runner::start("exits at once", options());
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().kind, ErrorKind::device);
  EXPECT_NE(runner.error().message.find("no driver"), std::string::npos) << runner.error().message;
}

TEST(Runner, AProcessThatNeverGreetsIsATimeout) {
  RunnerOptions with = options();
  with.start_seconds = 0.3;
  const auto runner = Runner::start("never greets", with);
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().kind, ErrorKind::timeout);
}

TEST(Runner, AProcessThatGreetsWithGarbageIsAnError) {
  const auto runner = Runner::start("greets with garbage", options());
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().kind, ErrorKind::device);
}

TEST(Runner, DeathWhileRunningIsAnErrorAndTheNextJobGetsANewProcess) {
  const auto runner = start("working");
  ASSERT_NE(runner, nullptr);
  const int pid = runner->pid();
  const auto report = check(*runner, "dies");
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, ErrorKind::device);
  EXPECT_NE(report.error().message.find("brought me down"), std::string::npos)
      << report.error().message;
  EXPECT_FALSE(runner->alive());
  expect_works(*runner);
  EXPECT_NE(runner->pid(), pid);
  EXPECT_TRUE(vanishes(pid));
}

TEST(Runner, SilenceBeyondTheDeadlineIsATimeoutAndTheProcessIsKilled) {
  const auto runner = start("working", impatient());
  ASSERT_NE(runner, nullptr);
  const int pid = runner->pid();
  const auto start_time = Clock::now();
  const auto report = check(*runner, "hangs");
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, ErrorKind::timeout);
  EXPECT_LT(Clock::now() - start_time, std::chrono::seconds(30));
  EXPECT_TRUE(vanishes(pid));
  expect_works(*runner);
}

TEST(Runner, AnUnhealthyDeviceGivesItsReportAndIsReplaced) {
  const auto runner = start("working");
  ASSERT_NE(runner, nullptr);
  const int pid = runner->pid();
  const auto report = check(*runner, "breaks");
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->outcome, Outcome::runtime_fault);
  EXPECT_EQ(report->explanation, "the context is lost");
  expect_works(*runner);
  EXPECT_NE(runner->pid(), pid);
}

TEST(Runner, AProcessThatDiedWhileIdleCostsNoJob) {
  const auto runner = start("working");
  ASSERT_NE(runner, nullptr);
  const int pid = runner->pid();
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  ASSERT_TRUE(vanishes(pid));
  expect_works(*runner);
}

TEST(Runner, NonsenseIsAnErrorAndTheProcessIsReplaced) {
  for (const char* behaviour : {"garbage", "no cbor", "nested", "a list", "no report", "odd types",
                                "odd error", "praise", "half a frame"}) {
    const auto runner = start(behaviour, impatient());
    ASSERT_NE(runner, nullptr) << behaviour;
    const int pid = runner->pid();
    const auto report = check(*runner, "doubles");
    ASSERT_FALSE(report.ok()) << behaviour;
    EXPECT_FALSE(report.error().message.empty());
    EXPECT_FALSE(runner->alive()) << behaviour;
    EXPECT_TRUE(vanishes(pid)) << behaviour;
  }
}

TEST(Runner, WhatWasNotAskedForIsNotTakenForAnAnswer) {
  const auto runner = start("chatters", impatient());
  ASSERT_NE(runner, nullptr);
  EXPECT_FALSE(check(*runner, "doubles").ok());
}

TEST(Runner, AProcessThatStopsReadingIsATimeout) {
  const auto runner = start("stops reading", impatient());
  ASSERT_NE(runner, nullptr);
  DoublingJob doubling;
  doubling.job.run.deadline_seconds = 0.1;
  doubling.candidate.ptx = std::string(20'000'000, 'x');  // beyond any socket's buffer
  const auto report = runner->check(doubling.job);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, ErrorKind::timeout);
}

TEST(Runner, NoProcessIsLeftBehind) {
  int pid = -1;
  {
    RunnerOptions with = options();
    with.warm_spare = true;
    const auto runner = start("working", with);
    ASSERT_NE(runner, nullptr);
    pid = runner->pid();
    EXPECT_TRUE(exists(pid));
  }
  EXPECT_TRUE(vanishes(pid));
}

TEST(Runner, ASpareTakesOverAfterAFault) {
  RunnerOptions with = options();
  with.warm_spare = true;
  const auto runner = start("working", with);
  ASSERT_NE(runner, nullptr);
  for (int i = 0; i < 3; ++i) {
    const int pid = runner->pid();
    EXPECT_TRUE(check(*runner, "breaks").ok());
    expect_works(*runner);
    EXPECT_NE(runner->pid(), pid);
  }
}

TEST(RunnerPool, SharesItsRunnersAmongThreads) {
  auto pool = RunnerPool::create("working", 3, options());
  ASSERT_TRUE(pool.ok()) << pool.error().message;
  std::atomic<int> correct = 0, errors = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 5; ++i) {
          const bool fatal = t == 0 && i % 2 == 0;
          DoublingJob doubling(fatal ? "dies" : "is slow");
          const auto report = (*pool)->check(doubling.job);
          if (!report.ok())
            ++errors;
          else if (report->outcome == Outcome::correct)
            ++correct;
        }
      });
  }
  EXPECT_EQ(errors, 3);
  EXPECT_EQ(correct, 37);
}

TEST(RunnerPool, WorksInParallel) {
  auto pool = RunnerPool::create("working", 4, options());
  ASSERT_TRUE(pool.ok()) << pool.error().message;
  const auto job = [&] {  // ten runs that sleep for 100 ms each
    DoublingJob doubling("is slow");
    doubling.job.repeats = 10;
    EXPECT_TRUE((*pool)->check(doubling.job).ok());
  };
  const auto first = Clock::now();
  job();
  const auto second = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) threads.emplace_back(job);
  }
  // Four at once take less than three one after another would, on a busy machine too.
  EXPECT_LT(Clock::now() - second, 3 * (second - first));
}

}  // namespace
}  // namespace assay
