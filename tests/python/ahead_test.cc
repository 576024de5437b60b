#include "evaluator/triton/ahead.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace assay::triton {
namespace {

Tuned named(const std::string& name) {
  Tuned tuned;
  tuned.choices.push_back(name);
  return tuned;
}

TEST(AheadTest, WhatWasStartedIsDoneOnce) {
  Ahead ahead(2);
  std::atomic<int> done = 0;
  for (const std::string name : {"a", "b", "c"})
    ahead.start(name, [&done, name]() -> Result<Tuned> {
      ++done;
      return named(name);
    });
  const auto again = []() -> Result<Tuned> { return named("again"); };
  EXPECT_EQ(ahead.take("c", again)->choices[0], "c");
  EXPECT_EQ(ahead.take("a", again)->choices[0], "a");
  EXPECT_EQ(ahead.take("a", again)->choices[0], "again") << "taken before";
  EXPECT_EQ(ahead.take("other", again)->choices[0], "again") << "not started";
  EXPECT_EQ(ahead.take("b", again)->choices[0], "b");
  EXPECT_EQ(done, 3);
}

TEST(AheadTest, NoMoreRunThanItWasTold) {
  std::atomic<int> running = 0, most = 0;
  Ahead ahead(2);
  for (int i = 0; i < 6; ++i)
    ahead.start(std::to_string(i), [&]() -> Result<Tuned> {
      const int now = ++running;
      if (now > most) most = now;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      --running;
      return named("done");
    });
  for (int i = 0; i < 6; ++i)
    EXPECT_TRUE(ahead.take(std::to_string(i), [] { return Result<Tuned>(Tuned()); }).ok());
  EXPECT_LE(most, 2);
}

TEST(AheadTest, AtTheEndNothingNewBegins) {
  std::atomic<int> begun = 0;
  {
    Ahead ahead(1);
    for (int i = 0; i < 5; ++i)
      ahead.start(std::to_string(i), [&]() -> Result<Tuned> {
        ++begun;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return named("done");
      });
    while (begun == 0) std::this_thread::yield();
  }
  EXPECT_LT(begun, 5);
}

}  // namespace
}  // namespace assay::triton
