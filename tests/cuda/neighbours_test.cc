#include "evaluator/runner/neighbours.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace assay {
namespace {

/// A child that lives as long as this: what a runner is to the coordinator.
struct Child {
  Child() : pid(fork()) {
    if (pid != 0) return;
    while (true) pause();
  }
  ~Child() {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  const pid_t pid;
};

std::vector<Neighbour> with(const std::string& processes) {
  static void* const library = dlopen(ASSAY_FAKE_MANAGEMENT, RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  setenv("FAKE_GPU_PROCESSES", processes.c_str(), 1);
  return neighbours("GPU-5a");
}

TEST(NeighboursTest, AreTheProcessesThatWeHaveNotStarted) {
  const Child runner;
  EXPECT_TRUE(with(fmt::format("{}:1073741824", runner.pid)).empty());
  const auto found = with(fmt::format("{}:1000 1:13421772800", runner.pid));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].pid, 1);
  EXPECT_FALSE(found[0].name.empty());
  EXPECT_NE(found[0].name, "unknown");
  EXPECT_EQ(describe(found), fmt::format("process 1 ({}, 12.5 GiB)", found[0].name));
}

TEST(NeighboursTest, AreNotToldWhereProcessIdsAreNotOurs) {
  // Our own runner would be on the list, if the list spoke of this namespace's processes.
  EXPECT_TRUE(with("1:1000").empty());
  EXPECT_TRUE(with("").empty());
}

TEST(NeighboursTest, AreNotToldOfAnUnknownGpu) {
  const Child runner;
  with(fmt::format("{}:1 1:1", runner.pid));
  EXPECT_TRUE(neighbours("virtual").empty());
}

}  // namespace
}  // namespace assay
