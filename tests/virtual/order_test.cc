// The order of a plan's operations, and what changes from run to run.
#include "evaluator/device/virtual/order.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/virtual/rig.h"

namespace assay {
namespace {

using virtual_gpu::operation_order;

LaunchPlan plan_of(const std::vector<std::vector<uint32_t>>& dependencies) {
  LaunchPlan plan;
  for (const auto& depends_on : dependencies) {
    Operation operation;
    operation.action = Memset{};
    operation.depends_on = depends_on;
    plan.operations.push_back(std::move(operation));
  }
  return plan;
}

TEST(OperationOrder, IsTheRecordedOneAtFirst) {
  EXPECT_EQ(operation_order(plan_of({{}, {}, {0}, {1}}), 0), (std::vector<uint32_t>{0, 1, 2, 3}));
}

TEST(OperationOrder, SwapsStreamsThatNothingOrders) {
  EXPECT_EQ(operation_order(plan_of({{}, {}, {0}, {1}}), 1), (std::vector<uint32_t>{1, 3, 0, 2}));
}

TEST(OperationOrder, KeepsDependenciesInEverySchedule) {
  const LaunchPlan plan = plan_of({{}, {0}, {0}, {1, 2}, {}, {4}, {3, 5}});
  for (uint32_t schedule = 0; schedule < 20; ++schedule) {
    const auto order = operation_order(plan, schedule);
    ASSERT_EQ(order.size(), plan.operations.size());
    const auto place = [&](uint32_t operation) {
      return std::ranges::find(order, operation) - order.begin();
    };
    for (uint32_t i = 0; i < order.size(); ++i)
      for (const uint32_t dependency : plan.operations[i].depends_on)
        EXPECT_LT(place(dependency), place(i)) << "schedule " << schedule;
  }
}

TEST(OperationOrder, IsTheRecordedOneWhereDependenciesMakeNoSense) {
  EXPECT_EQ(operation_order(plan_of({{1}, {7}}), 1), (std::vector<uint32_t>{0, 1}));
}

}  // namespace
}  // namespace assay
