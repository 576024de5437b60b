#include "server/desk.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/server/fake_bench.h"

namespace assay {
namespace {

class DeskTest : public testing::Test {
 protected:
  Order order(const std::string& directive, const std::string& salt = "") {
    Order made;
    made.task = &task_;
    made.source = "// fake: " + directive + "\n" + salt;
    made.key = *bench_.key(task_, made.source, false);
    return made;
  }
  /// Places and waits.
  JudgedPointer judge(Desk& desk, Order one) {
    std::promise<JudgedPointer> promise;
    desk.place(std::move(one), [&](JudgedPointer judged) { promise.set_value(std::move(judged)); });
    return promise.get_future().get();
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("assay-desk");
  Task task_;
  FakeBench bench_{folder_.path(), 1, 1};
};

TEST_F(DeskTest, FinishesWhatRunsBeforeTheEndAndStartsNothingElse) {
  Desk desk(bench_, {});
  std::atomic<bool> ran{false}, waited{false};
  desk.place(order("verdict=correct delay_ms=200"), [&](const JudgedPointer&) { ran = true; });
  while (desk.status().running == 0) std::this_thread::yield();
  desk.place(order("verdict=correct", "waits"), [&](const JudgedPointer&) { waited = true; });
  desk.drain(20);
  while (!ran) std::this_thread::yield();
  EXPECT_FALSE(waited);
  EXPECT_EQ(desk.status().queued, 1u);
  const auto refusal = desk.place(order("verdict=correct", "new"), {}).refusal;
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 503);
}

TEST_F(DeskTest, EvaluatesEqualOrdersOnce) {
  Desk desk(bench_, {});
  std::atomic<int> done{0};
  for (int i = 0; i < 10; ++i)
    desk.place(order("verdict=correct delay_ms=50"), [&](const JudgedPointer&) { ++done; });
  const JudgedPointer last = judge(desk, order("verdict=correct delay_ms=50"));
  EXPECT_EQ(last->verdict, Verdict::correct);
  while (done < 10) std::this_thread::yield();
  EXPECT_EQ(bench_.evaluations(), 1u);
  EXPECT_TRUE(judge(desk, order("verdict=correct delay_ms=50"))->cached);
}

TEST_F(DeskTest, FindsVerdictsOfAnEarlierProcess) {
  judge(*std::make_unique<Desk>(bench_, DeskOptions{}), order("verdict=wrong_output"));
  Desk desk(bench_, {});
  const JudgedPointer judged = judge(desk, order("verdict=wrong_output"));
  EXPECT_EQ(judged->verdict, Verdict::incorrect);
  EXPECT_TRUE(judged->cached);
  EXPECT_EQ(bench_.evaluations(), 1u);
}

TEST_F(DeskTest, TriesTroubleAgainAndDoesNotRememberIt) {
  Desk desk(bench_, {});
  EXPECT_EQ(judge(desk, order("verdict=correct trouble=1"))->attempts, 2);
  EXPECT_EQ(judge(desk, order("verdict=correct trouble=3"))->verdict, Verdict::infra_error);
  EXPECT_EQ(judge(desk, order("verdict=correct trouble=3"))->verdict, Verdict::correct);
}

TEST_F(DeskTest, ADeadlineEndsTheOrderAndKeepsTheVerdict) {
  Desk desk(bench_, {});
  Order late = order("verdict=correct delay_ms=200");
  late.deadline = seconds_from_now(0.05);
  EXPECT_EQ(judge(desk, late)->verdict, Verdict::deadline);
  late.deadline = seconds_from_now(10);
  EXPECT_EQ(judge(desk, late)->verdict, Verdict::correct);
  EXPECT_EQ(bench_.evaluations(), 1u);  // the one that was running was finished
}

TEST_F(DeskTest, WhatNobodyWaitsForLeavesTheQueue) {
  Desk desk(bench_, {});
  desk.place(order("verdict=correct delay_ms=200", "first"), [](const JudgedPointer&) {});
  Verdict verdict = Verdict::correct;
  const auto placed = desk.place(order("verdict=correct", "second"),
                                 [&](const JudgedPointer& judged) { verdict = judged->verdict; });
  EXPECT_EQ(desk.cancel(placed.ticket), 1u);
  EXPECT_EQ(verdict, Verdict::cancelled);
  EXPECT_EQ(desk.cancel(placed.ticket), 0u);
  judge(desk, order("verdict=correct", "third"));
  EXPECT_EQ(bench_.evaluations(), 2u);
}

TEST_F(DeskTest, OrdersAreTakenByPriorityAndGroupsInOneGo) {
  std::vector<std::string> finished;
  std::mutex mutex;
  Desk desk(bench_, {});
  const auto place = [&](const std::string& name, Priority priority, const std::string& group) {
    Order one = order("verdict=correct delay_ms=20", name);
    one.priority = priority;
    one.group = group;
    desk.place(std::move(one), [&, name](const JudgedPointer&) {
      const std::lock_guard lock(mutex);
      finished.push_back(name);
    });
  };
  place("blocker", Priority::high, "");
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  place("low", Priority::low, "");
  place("a1", Priority::normal, "a");
  place("b1", Priority::normal, "b");
  place("a2", Priority::normal, "a");
  place("high", Priority::high, "");
  for (size_t size = 0; size < 6;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::lock_guard lock(mutex);
    size = finished.size();
  }
  EXPECT_EQ(finished, (std::vector<std::string>{"blocker", "high", "a1", "a2", "b1", "low"}));
}

TEST_F(DeskTest, RefusesAboveItsBoundsAndParksThoseThatCannotBeRefused) {
  DeskOptions options;
  options.queue_limit = 1;
  options.client_quota = 4;
  Desk desk(bench_, options);
  const auto nothing = [](const JudgedPointer&) {};
  desk.place(order("verdict=correct delay_ms=300", "0"), nothing);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(desk.place(order("verdict=correct", "1"), nothing).refusal);
  const auto full = desk.place(order("verdict=correct", "2"), nothing);
  ASSERT_TRUE(full.refusal);
  EXPECT_EQ(full.refusal->status, 503);
  Order parked = order("verdict=correct", "3");
  parked.parked = true;
  EXPECT_FALSE(desk.place(parked, nothing).refusal);
  EXPECT_FALSE(desk.place(order("verdict=correct", "1"), nothing).refusal);  // joins
  const auto quota = desk.place(order("verdict=correct", "1"), nothing);
  ASSERT_TRUE(quota.refusal);
  EXPECT_EQ(quota.refusal->status, 429);
}

TEST_F(DeskTest, ForgetsTheOldestVerdictsFirst) {
  DeskOptions options;
  options.remembered = 2;
  Desk desk(bench_, options);
  for (const char* salt : {"1", "2", "3"}) judge(desk, order("verdict=correct", salt));
  EXPECT_FALSE(desk.remembered(order("verdict=correct", "1").key));
  EXPECT_TRUE(desk.remembered(order("verdict=correct", "3").key));
  judge(desk, order("verdict=correct", "1"));
  EXPECT_EQ(bench_.evaluations(), 3u);  // from the store
}

}  // namespace
}  // namespace assay
