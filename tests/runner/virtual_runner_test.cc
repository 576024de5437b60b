// The installed runner with the virtual device, from job to report: c = a + b in PTX by hand.
#include <gtest/gtest.h>

#include <cstring>

#include "evaluator/runner/runner.h"

namespace assay {
namespace {

constexpr uint64_t kElements = 1000;

/// A kernel that does `body` with %f1 = a[i], %f2 = b[i], %f3 the result and %r4 = i, and stores
/// the result for i < n.
std::string ptx_with(const std::string& body) {
  return R"(
.version 8.0
.target sm_90
.address_size 64

.visible .entry combine(.param .u64 p_a, .param .u64 p_b, .param .u64 p_c, .param .u32 p_n)
{
  .reg .pred %p<2>;
  .reg .f32 %f<4>;
  .reg .b32 %r<6>;
  .reg .b64 %rd<11>;
  ld.param.u64 %rd1, [p_a];
  ld.param.u64 %rd2, [p_b];
  ld.param.u64 %rd3, [p_c];
  ld.param.u32 %r5, [p_n];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  setp.ge.s32 %p1, %r4, %r5;
  @%p1 bra DONE;
  cvta.to.global.u64 %rd4, %rd1;
  cvta.to.global.u64 %rd5, %rd2;
  cvta.to.global.u64 %rd6, %rd3;
  mul.wide.s32 %rd7, %r4, 4;
  add.s64 %rd8, %rd4, %rd7;
  add.s64 %rd9, %rd5, %rd7;
  add.s64 %rd10, %rd6, %rd7;
  ld.global.f32 %f1, [%rd8];
  ld.global.f32 %f2, [%rd9];
)" + body +
         R"(
  st.global.f32 [%rd10], %f3;
DONE:
  ret;
}
)";
}

Artifact artifact_with(const std::string& key, const std::string& body) {
  Artifact artifact;
  artifact.key = key;
  artifact.arch = "sm_90";
  artifact.ptx = ptx_with(body);
  Kernel kernel;
  kernel.name = kernel.demangled = "combine";
  kernel.parameters = {{0, 8, 8}, {8, 8, 8}, {16, 8, 8}, {24, 4, 4}};
  artifact.kernels = {kernel};
  return artifact;
}

LaunchPlan plan_of_one_launch(uint32_t threads = 128) {
  LaunchPlan plan;
  for (uint32_t i = 0; i < 3; ++i)
    plan.allocations.push_back(
        {Allocation::Kind::argument, i, std::string(1, static_cast<char>('a' + i)), 4 * kElements});
  Launch launch;
  launch.kernel = "combine";
  launch.grid = {static_cast<uint32_t>((kElements + threads - 1) / threads), 1, 1};
  launch.block = {threads, 1, 1};
  launch.parameters = std::string(28, '\0');
  const auto count = static_cast<uint32_t>(kElements);
  std::memcpy(launch.parameters.data() + 24, &count, 4);
  launch.relocations = {{0, {0, 0}}, {8, {1, 0}}, {16, {2, 0}}};
  plan.operations.push_back({launch, {}, 0});
  return plan;
}

BoundCase sum_of_vectors() {
  BoundCase bound;
  bound.task_id = "vector-add";
  bound.case_name = "ragged";
  for (uint32_t i = 0; i < 3; ++i) {
    BoundTensor tensor;
    tensor.name = std::string(1, static_cast<char>('a' + i));
    tensor.direction = i < 2 ? Direction::in : Direction::out;
    tensor.shape = {kElements};
    tensor.elements = kElements;
    tensor.fill.kind = FillKind::normal;
    tensor.fill.ordinal = i;
    tensor.fill.elements = kElements;
    tensor.fill.b = 1;
    bound.tensors.push_back(tensor);
  }
  return bound;
}

class VirtualRunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    RunnerOptions options;
    options.threads = 2;
    auto runner = Runner::start("virtual", options);
    ASSERT_TRUE(runner.ok()) << runner.error().message;
    runner_ = *std::move(runner);
  }

  CheckReport check(const std::string& body) {
    const Artifact reference = artifact_with("reference", "add.rn.f32 %f3, %f1, %f2;");
    const Artifact candidate = artifact_with("candidate: " + body, body);
    CheckJob job;
    job.bound = sum_of_vectors();
    job.candidate = &candidate;
    job.reference = &reference;
    job.candidate_plan = plan_of_one_launch();
    job.reference_plan = plan_of_one_launch(32);
    job.seed = 7;
    job.run.deadline_seconds = 20;
    job.run.instruction_budget = 10'000'000;
    const Result<CheckReport> report = runner_->check(job);
    EXPECT_TRUE(report.ok()) << report.error().message;
    return report.ok() ? *report : CheckReport{};
  }

  std::unique_ptr<Runner> runner_;
};

TEST_F(VirtualRunnerTest, IntroducesItself) {
  EXPECT_EQ(runner_->info().id, "virtual");
  EXPECT_EQ(runner_->info().arch(), "sm_90");
}

TEST_F(VirtualRunnerTest, ACorrectKernelIsCorrectAndCounted) {
  const CheckReport report = check("add.rn.f32 %f3, %f2, %f1;");
  EXPECT_EQ(report.outcome, Outcome::correct) << report.explanation;
  ASSERT_EQ(report.launches.size(), 1u);
  EXPECT_EQ(report.launches[0].kernel, "combine");
  EXPECT_GT(report.launches[0].lane_instructions, 10 * kElements);
  EXPECT_EQ(report.launches[0].global_store_sectors, 4 * kElements / 32);
}

TEST_F(VirtualRunnerTest, AWrongKernelIsAMismatch) {
  const CheckReport report = check("sub.rn.f32 %f3, %f1, %f2;");
  EXPECT_EQ(report.outcome, Outcome::wrong_output);
  EXPECT_EQ(report.reason, "mismatch");
}

TEST_F(VirtualRunnerTest, AnUnwrittenTailIsUnwritten) {
  const CheckReport report =
      check("add.rn.f32 %f3, %f1, %f2; setp.ge.s32 %p1, %r4, 900; @%p1 bra DONE;");
  EXPECT_EQ(report.reason, "unwritten");
  EXPECT_NE(report.explanation.find("100 of 1000"), std::string::npos) << report.explanation;
}

TEST_F(VirtualRunnerTest, AReadBeyondATensorIsAFault) {
  const CheckReport report = check("ld.global.f32 %f3, [%rd8+4];");
  EXPECT_EQ(report.outcome, Outcome::runtime_fault);
  EXPECT_EQ(report.reason, "illegal_address");
}

TEST_F(VirtualRunnerTest, AnEndlessLoopIsATimeoutAndTheNextJobRuns) {
  EXPECT_EQ(check("SPIN: bra SPIN;").reason, "kernel_time");
  EXPECT_EQ(check("add.rn.f32 %f3, %f1, %f2;").outcome, Outcome::correct);
}

TEST_F(VirtualRunnerTest, AnUnknownInstructionIsTroubleOfOurs) {
  const CheckReport report = check("frobnicate.f32 %f3, %f1, %f2;");
  EXPECT_EQ(report.outcome, Outcome::harness_error);
  EXPECT_NE(report.explanation.find("frobnicate"), std::string::npos) << report.explanation;
}

}  // namespace
}  // namespace assay
