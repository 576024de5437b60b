// Streams, events and waits as dependencies between operations.
#include "tests/record/recorded.h"

namespace assay {
namespace {

using Dependencies = std::vector<std::vector<uint32_t>>;

Dependencies dependencies_of(const std::string& variant) {
  Dependencies all;
  for (const Operation& operation : recorded::plan_of(variant).operations)
    all.push_back(operation.depends_on);
  return all;
}

TEST(Streams, OrderOperationsOfOneStream) {
  EXPECT_EQ(dependencies_of("one_stream"), (Dependencies{{}, {0}, {1}}));
}

TEST(Streams, ForkAndJoinThroughEvents) {
  EXPECT_EQ(dependencies_of("fork_and_join"), (Dependencies{{}, {0}, {0}, {1, 2}}));
}

TEST(Streams, OrderTheLegacyStreamWithBlockingStreamsOnly) {
  EXPECT_EQ(dependencies_of("legacy_stream"), (Dependencies{{}, {}, {}, {0, 1}, {3}, {2}}));
}

TEST(Streams, TakeWaitsOnTheHostAsJoins) {
  EXPECT_EQ(dependencies_of("host_waits"), (Dependencies{{}, {}, {0, 1}, {2}}));
}

TEST(Streams, TakeSynchronousCopiesFromTheHostAndFreesAsJoins) {
  EXPECT_EQ(dependencies_of("synchronous_calls"), (Dependencies{{}, {}, {}, {1}, {2, 3}, {0, 4}}));
}

TEST(Streams, KeepOperationsOfStreamsThatNobodyWaitsFor) {
  EXPECT_EQ(dependencies_of("unfinished_side_stream"), (Dependencies{{}}));
}

TEST(Streams, NumberTheStreamOfSolveZero) {
  const LaunchPlan plan = recorded::plan_of("fork_and_join");
  EXPECT_EQ(plan.operations[0].stream, 0u);
  EXPECT_NE(plan.operations[1].stream, 0u);
  EXPECT_EQ(plan.operations[3].stream, 0u);
}

TEST(Streams, RefuseDestroyedStreams) {
  const RecordFailure failure = recorded::failure_of("destroyed_stream");
  EXPECT_EQ(failure.reason, "invalid_argument");
  EXPECT_NE(failure.explanation.find("destroyed"), std::string::npos);
}

TEST(Streams, HaveNoClock) {
  const RecordFailure failure = recorded::failure_of("elapsed_time");
  EXPECT_EQ(failure.reason, "unsupported_call");
  EXPECT_NE(failure.explanation.find("no time to measure"), std::string::npos);
}

}  // namespace
}  // namespace assay
