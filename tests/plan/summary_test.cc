#include "evaluator/plan/summary.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/plan/sample.h"

namespace assay {
namespace {

TEST(PlanSummaryTest, CountsLaunchesAndMemory) {
  const Artifact artifact = sample::artifact();
  LaunchPlan plan = sample::plan();
  const PlanSummary once = summarise(plan, artifact.kernels);
  EXPECT_EQ(once.arguments, 2u);
  EXPECT_EQ(once.argument_bytes, 8000u);
  EXPECT_EQ(once.scratch_buffers, 1u);
  EXPECT_EQ(once.scratch_bytes, 8192u);
  EXPECT_EQ(once.variable_bytes, 64u);
  EXPECT_EQ(once.launches[0].kernel, "step(float const*, float*, int)");
  EXPECT_EQ(once.launches[0].grid, (Dim3{8, 1, 1}));
  EXPECT_EQ(once.launches[0].count, 1u);

  const std::vector<Operation> operations = plan.operations;
  plan.operations.insert(plan.operations.end(), operations.begin(), operations.end());
  const PlanSummary twice = summarise(plan, artifact.kernels);
  EXPECT_EQ(twice.launches.size(), once.launches.size());
  EXPECT_EQ(twice.launches[0].count, 2u);
  EXPECT_EQ(twice.launch_count(), 2 * once.launch_count());
  EXPECT_EQ(twice.memsets, 2 * once.memsets);
  EXPECT_EQ(twice.streams, once.streams);
}

TEST(PlanSummaryTest, ListsAFewKindsOfLaunchesAndCountsTheRest) {
  LaunchPlan plan;
  for (uint32_t i = 0; i < 100; ++i) {
    Launch launch;
    launch.kernel = "k";
    launch.grid.x = i + 1;
    plan.operations.push_back({launch, {}, 0});
  }
  const PlanSummary summary = summarise(plan, {});
  EXPECT_EQ(summary.launches.size(), PlanSummary::kMaxLaunches);
  EXPECT_EQ(summary.launch_count(), 100u);
}

TEST(PlanSummaryTest, ComesBackFromItsJson) {
  const PlanSummary summary = summarise(sample::plan(), sample::artifact().kernels);
  const auto read = parse_plan_summary(nlohmann::json(summary).dump());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, summary);
  EXPECT_FALSE(parse_plan_summary("{}").ok());
  EXPECT_FALSE(parse_plan_summary("[").ok());
}

}  // namespace
}  // namespace assay
