// The whole timing protocol on the stand-in driver, whose clock is exact: honest candidates get
// exactly their speedup, dishonest ones no number.
#include <gmock/gmock.h>

#include <cmath>

#include "evaluator/timing/timed_case.h"
#include "tests/cuda/bench.h"

namespace assay {
namespace {

using cuda_bench::control;
using cuda_bench::launch;
using cuda_bench::make_device;
using cuda_bench::plan_of;
using ::testing::AnyOf;
using ::testing::HasSubstr;

TimingReport time(const Launch& candidate, const std::string& budget_name = "rl",
                  const Launch& baseline = launch("add_one"),
                  const BoundCase& bound = cuda_bench::add_one_case()) {
  const auto device = make_device();
  TimeJob job;
  job.bound = bound;
  job.candidate = job.baseline = &cuda_bench::kernels();
  job.candidate_plan = plan_of(candidate);
  job.baseline_plan = plan_of(baseline);
  job.seed = 11;
  job.budget = *budget_from_name(budget_name);
  job.budget.warm_up_min_ms = 0;
  job.budget.duty = 1;
  job.deadline_seconds = 0.5;
  auto report = time_case(*device, job);
  if (!report.ok()) throw std::runtime_error(report.error().message);
  return *std::move(report);
}

class CudaTimingTest : public ::testing::Test {
 protected:
  void SetUp() override { cuda_bench::restart(); }
};

TEST_F(CudaTimingTest, TheSameKernelOnBothSidesIsTheSame) {
  for (const char* budget : {"rl", "benchmark"}) {
    control().launch_us = 200;
    const TimingReport report = time(launch("add_one"), budget);
    ASSERT_FALSE(report.violation) << report.violation->explanation;
    EXPECT_DOUBLE_EQ(report.speedup, 1);
    EXPECT_EQ(report.verdict, "same");
    EXPECT_EQ(report.stop_reason, "interval");
    EXPECT_NEAR(report.clock_ratio, 1, 1e-9);
    EXPECT_EQ(report.samples.size(), 4 * report.blocks + (report.blocks + 7) / 8);  // rulers
  }
}

TEST_F(CudaTimingTest, ASlowerKernelGetsItsExactSpeedup) {
  control().launch_us = 0;
  const TimingReport report = time(launch("add_one_slowly", {100}));
  ASSERT_FALSE(report.violation) << report.violation->explanation;
  EXPECT_EQ(report.verdict, "slower");
  EXPECT_LT(report.speedup, 0.2);
  const double ratio = report.baseline.median_us / report.candidate.median_us;
  EXPECT_NEAR(report.speedup, ratio, 1e-6);
  EXPECT_LE(report.speedup_interval.low, report.speedup);
  EXPECT_GE(report.speedup_interval.high, report.speedup);
}

TEST_F(CudaTimingTest, EveryCallOfABurstHasItsOwnSlot) {
  const TimingReport report = time(launch("add_one"));
  ASSERT_FALSE(report.violation) << report.violation->explanation;
  // The estimate that decides how many also sees the probes, which cost a launch here.
  EXPECT_NEAR(report.candidate.calls * report.candidate.median_us, 1000, 300);
  EXPECT_GT(report.candidate.calls, 10u);
  EXPECT_GT(report.empty_call_us, 0);
  EXPECT_LT(report.empty_call_us, report.candidate.median_us);
}

TEST_F(CudaTimingTest, BothSidesMayBeOffByTheTolerance) {
  control().launch_us = 200;
  EXPECT_FALSE(time(launch("add_one_roughly", {15})).violation);  // the tolerance is 10
  const auto report = time(launch("add_one_roughly", {30}));
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->reason, "mismatch");
}

TEST_F(CudaTimingTest, ABoundOfTheWholeHoldsAsWell) {
  control().launch_us = 200;
  BoundCase bound = cuda_bench::add_one_case();
  bound.tensors[1].tolerance = {1, 0, 1e-6};  // parts: 10, twice for two sides
  EXPECT_FALSE(time(launch("add_one_roughly", {15}), "rl", launch("add_one"), bound).violation);
  const auto report = time(launch("add_one_roughly", {30}), "rl", launch("add_one"), bound);
  ASSERT_TRUE(report.violation);
  EXPECT_THAT(report.violation->explanation, HasSubstr("Frobenius"));
}

struct Dishonest {
  const char* kernel;
  const char* reason;
  const char* another = "";
};
void PrintTo(const Dishonest& dishonest, std::ostream* stream) { *stream << dishonest.kernel; }

class DishonestTest : public ::testing::TestWithParam<Dishonest> {
 protected:
  void SetUp() override { cuda_bench::restart(); }
};

TEST_P(DishonestTest, GetsNoNumber) {
  Launch dishonest = launch(GetParam().kernel);
  if (GetParam().kernel == std::string("defers") || GetParam().kernel == std::string("batches"))
    dishonest.grid = {1, 1, 1};
  const TimingReport report = time(dishonest);
  ASSERT_TRUE(report.violation);
  EXPECT_THAT(report.violation->reason, AnyOf(GetParam().reason, GetParam().another))
      << report.violation->explanation;
  EXPECT_EQ(report.stop_reason, "violation");
  EXPECT_EQ(report.speedup, 0);
}

INSTANTIATE_TEST_SUITE_P(All, DishonestTest,
                         ::testing::Values(Dishonest{"remembers", "mismatch"},
                                           Dishonest{"changes_input", "input_changed", "mismatch"},
                                           Dishonest{"past_the_end", "red_zone"},
                                           Dishonest{"defers", "late_write", "mismatch"},
                                           Dishonest{"batches", "early_write"},
                                           Dishonest{"far_write", "illegal_address"},
                                           Dishonest{"endless", "kernel_time"}));

TEST_F(CudaTimingTest, AFaultOfTheBaselineIsTroubleOfOurs) {
  EXPECT_THROW(
      try { time(launch("add_one"), "rl", launch("trap")); } catch (const std::runtime_error& e) {
        EXPECT_THAT(e.what(), HasSubstr("baseline"));
        throw;
      },
      std::runtime_error);
}

TEST_F(CudaTimingTest, ACandidateThatCannotBeLaunchedGetsNoNumber) {
  Launch big = launch("add_through_shared");
  big.dynamic_shared_bytes = 230 << 10;
  const TimingReport report = time(big);
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->reason, "launch_limits");
}

}  // namespace
}  // namespace assay
