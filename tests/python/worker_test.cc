// Workers that wait for a candidate, and what is theirs when they fail.
#include "evaluator/triton/worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "evaluator/triton/installation.h"
#include "evaluator/triton/recorder.h"
#include "tests/compile/support.h"
#include "tests/processes.h"

namespace assay::triton {
namespace {

bool soon(const auto& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

TEST(WorkersTest, OneThatDiedWhileItWaitedIsNotHandedOut) {
  if (const auto found = find_installation(); !found.ok()) GTEST_SKIP() << found.error().message;
  Workers workers(1);
  workers.prepare();
  ASSERT_TRUE(soon([] { return testing::kill_descendants("python") > 0; }));
  ASSERT_TRUE(soon([] { return testing::descendants("").empty(); })) << "its sandbox ends too";
  const auto worker = workers.take();
  ASSERT_TRUE(worker.ok()) << worker.error().message;
  EXPECT_TRUE((*worker)->waits());
}

TEST(WorkersTest, TroubleBeforeTheCandidateIsThereIsNotItsFault) {
  if (const auto found = find_installation(); !found.ok()) GTEST_SKIP() << found.error().message;
  Workers workers(0);
  const auto compiler = testing::make_compiler(false);
  const auto recorded =
      record({.source = "pass", .arch = "no architecture"}, {}, {}, *compiler, workers);
  ASSERT_FALSE(recorded.ok());
  EXPECT_EQ(recorded.error().kind, ErrorKind::internal);
  EXPECT_NE(recorded.error().message.find("ValueError"), std::string::npos)
      << recorded.error().message;
}

}  // namespace
}  // namespace assay::triton
