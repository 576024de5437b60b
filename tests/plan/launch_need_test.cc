#include "evaluator/plan/launch_need.h"

#include <gtest/gtest.h>

#include "tests/plan/sample.h"

namespace assay {
namespace {

TEST(LaunchNeedTest, OnlyCopiesOfMemoryMoveData) {
  LaunchPlan plan;
  plan.operations.push_back({Launch{}, {}, 0});
  plan.operations.push_back({Memset{}, {}, 0});
  plan.operations.push_back({Copy{{0, 0}, {}, "literal", 7, 1, 0, 0}, {}, 0});
  EXPECT_FALSE(copies_data(plan));
  plan.operations.push_back({Copy{{0, 0}, {1, 0}, "", 7, 1, 0, 0}, {}, 0});
  EXPECT_TRUE(copies_data(plan));
  plan.operations.back().action = ElementCopy{};
  EXPECT_TRUE(copies_data(plan));
}

TEST(LaunchNeedTest, WhatIsLeftRunsInItsOrder) {
  const LaunchPlan plan = sample::plan();
  const LaunchPlan left = without_launches(plan);
  EXPECT_EQ(left.allocations, plan.allocations);
  ASSERT_GE(left.operations.size(), 2u);
  EXPECT_EQ(left.operations[0].action, plan.operations[0].action);
  EXPECT_EQ(left.operations[1].action, plan.operations[1].action);
  for (uint32_t i = 0; i < left.operations.size(); ++i) {
    EXPECT_FALSE(std::holds_alternative<Launch>(left.operations[i].action));
    EXPECT_EQ(left.operations[i].depends_on,
              i == 0 ? std::vector<uint32_t>() : std::vector<uint32_t>{i - 1});
  }
  EXPECT_FALSE(validate(left, sample::artifact(), sample::bound(), DeviceInfo()));
}

}  // namespace
}  // namespace assay
