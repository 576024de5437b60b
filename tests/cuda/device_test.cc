// The CUDA device without a GPU: plans as graphs, faults, refusals, the trusted kernels.
#include <gmock/gmock.h>

#include <cstring>

#include "tests/cuda/bench.h"

namespace assay {
namespace {

using cuda_bench::chain;
using cuda_bench::control;
using cuda_bench::kElements;
using cuda_bench::launch;
using cuda_bench::make_device;
using cuda_bench::plan_of;
using cuda_bench::Rig;
using ::testing::HasSubstr;

void fail_next(const char* function, CUresult result, int call = 1) {
  std::strncpy(control().function, function, sizeof control().function - 1);
  control().result = result;
  control().failing = call;
}

/// y += amount
Operation add(float amount) {
  Launch launch;
  launch.kernel = "add_to";
  launch.grid = {8, 1, 1};
  launch.block = {128, 1, 1};
  launch.parameters.assign(8, '\0');
  launch.parameters.append(reinterpret_cast<const char*>(&amount), sizeof amount);
  const int n = kElements;
  launch.parameters.append(reinterpret_cast<const char*>(&n), sizeof n);
  launch.relocations = {{0, {1, 0}}};
  return {launch, {}, 0};
}

Operation clear(uint32_t allocation) {
  Memset memset;
  memset.target = {allocation, 0};
  memset.element_bytes = 4;
  memset.width_bytes = 4 * kElements;
  memset.pitch_bytes = memset.width_bytes;
  return {memset, {}, 0};
}

Operation copy(uint32_t from, uint32_t to) {
  Copy copy;
  copy.source = {from, 0};
  copy.target = {to, 0};
  copy.width_bytes = 4 * kElements;
  return {copy, {}, 0};
}

class CudaDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override { cuda_bench::restart(); }
};

TEST_F(CudaDeviceTest, TellsWhatTheDriverSays) {
  const auto device = make_device();
  EXPECT_EQ(device->info().id, "cuda:0");
  EXPECT_EQ(device->info().name, "stand-in GPU");
  EXPECT_EQ(device->info().arch(), "sm_90");
  EXPECT_EQ(device->info().multiprocessors, 4u);
  EXPECT_EQ(device->info().uuid, "GPU-5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a");
}

TEST_F(CudaDeviceTest, RunsAKernel) {
  const auto device = make_device();
  Rig run(*device);
  const auto report = run.run(plan_of(launch("add_one")));
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(report->fault) << report->fault->explanation;
  EXPECT_TRUE(run.holds(1));
  EXPECT_FALSE(device->check_red_zones(run.y_buffer)->any());
}

TEST_F(CudaDeviceTest, RunsCopiesMemsetsAndLaunchesInTheOrderOfTheirDependencies) {
  const auto device = make_device();
  for (int attempt = 0; attempt < 20; ++attempt) {
    Rig run(*device);
    // y = x by way of scratch, then four additions that only their dependencies order.
    LaunchPlan plan = chain({clear(2), copy(0, 2), copy(2, 1), add(2), clear(2), add(-1)});
    plan.allocations.push_back({Allocation::Kind::scratch, 0, "", 4 * kElements});
    const auto report = run.run(plan);
    ASSERT_TRUE(report.ok()) << report.error().message;
    ASSERT_FALSE(report->fault);
    ASSERT_TRUE(run.holds(1)) << attempt;
    EXPECT_FALSE(device->check_scratch_red_zones(*run.prepared)->any());
  }
}

TEST_F(CudaDeviceTest, JoinsBranches) {
  const auto device = make_device();
  for (int attempt = 0; attempt < 20; ++attempt) {
    Rig run(*device);
    LaunchPlan plan = chain({copy(0, 1), clear(2), clear(3), add(1)});
    plan.allocations.push_back({Allocation::Kind::scratch, 0, "", 4 * kElements});
    plan.allocations.push_back({Allocation::Kind::scratch, 0, "", 4 * kElements});
    plan.operations[1].depends_on = {0};
    plan.operations[2].depends_on = {0};
    plan.operations[3].depends_on = {1, 2};
    const auto report = run.run(plan);
    ASSERT_TRUE(report.ok()) << report.error().message;
    ASSERT_TRUE(run.holds(1)) << attempt;
  }
}

TEST_F(CudaDeviceTest, CopiesRowsWithPitches) {
  const auto device = make_device();
  Rig run(*device);
  Copy rows;
  rows.source = {0, 0};
  rows.target = {1, 0};
  rows.width_bytes = 40;
  rows.height = 100;
  rows.source_pitch_bytes = rows.target_pitch_bytes = 40;
  ASSERT_TRUE(run.run(chain({Operation{rows, {}, 0}, add(1)})).ok());
  EXPECT_TRUE(run.holds(1));
}

TEST_F(CudaDeviceTest, CopiesElementsOfViews) {
  const auto device = make_device();
  Rig run(*device);
  ElementGrid there;  // a matrix of 20 by 50, transposed
  there.target_dtype = Dtype::f16;
  there.rank = 2;
  there.shape[0] = 20, there.shape[1] = 50;
  there.target_strides[0] = 1, there.target_strides[1] = 20;
  there.source_strides[0] = 50, there.source_strides[1] = 1;
  ElementGrid back = there;
  std::swap(back.target_dtype, back.source_dtype);
  std::swap(back.target_strides, back.source_strides);
  LaunchPlan plan = chain({Operation{ElementCopy{{2, 0}, {0, 0}, there}, {}, 0},
                           Operation{ElementCopy{{1, 0}, {2, 0}, back}, {}, 0}, add(1)});
  plan.allocations.push_back({Allocation::Kind::scratch, 0, "", 2 * kElements});
  const auto report = run.run(plan);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(run.holds(1));
}

TEST_F(CudaDeviceTest, SetsConstantsFromLiterals) {
  const auto device = make_device();
  Rig run(*device);
  Copy literal;
  const float value = 3;
  literal.literal.assign(reinterpret_cast<const char*>(&value), sizeof value);
  literal.target = {2, 0};
  literal.width_bytes = sizeof value;
  LaunchPlan plan = chain({Operation{literal, {}, 0}, Operation{launch("add_constant"), {}, 0}});
  plan.allocations.push_back({Allocation::Kind::variable, 0, "amount", sizeof value});
  const auto report = run.run(plan);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(run.holds(3));
  // After a reset the variable is what the module says, at an address of its own.
  ASSERT_TRUE(device->reset(*run.module).ok());
  ASSERT_TRUE(run.run(plan_of(launch("add_constant"))).ok());
  EXPECT_TRUE(run.holds(0));
}

TEST_F(CudaDeviceTest, PassesParametersOfWideAlignment) {
  const auto device = make_device();
  Rig run(*device);
  Launch aligned = launch("add_aligned");
  aligned.parameters.resize(256, '\0');
  const float one = 1;
  std::memcpy(aligned.parameters.data() + 128, &one, sizeof one);
  const auto report = run.run(plan_of(aligned));
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(report->fault) << report->fault->explanation;
  EXPECT_TRUE(run.holds(1));
}

TEST_F(CudaDeviceTest, GivesMoreThan48KiBOfSharedMemory) {
  const auto device = make_device();
  Rig run(*device);
  Launch big = launch("add_through_shared");
  big.dynamic_shared_bytes = 64000;
  const auto report = run.run(plan_of(big));
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(report->fault) << report->fault->explanation;
  EXPECT_TRUE(run.holds(1));
}

TEST_F(CudaDeviceTest, LaunchesCooperativelyAndInClusters) {
  const auto device = make_device();
  Rig run(*device);
  Launch cooperative = launch("add_behind_grid_barrier");
  cooperative.cooperative = true;
  auto report = run.run(plan_of(cooperative));
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(report->fault) << report->fault->explanation;
  EXPECT_TRUE(run.holds(1));
  Launch cluster = launch("add_in_cluster");
  cluster.cluster = {2, 1, 1};
  report = run.run(plan_of(cluster));
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(report->fault) << report->fault->explanation;
  EXPECT_TRUE(run.holds(1));
}

TEST_F(CudaDeviceTest, ARefusedLaunchIsALaunchErrorAndLeavesTheDeviceUsable) {
  const auto device = make_device();
  Rig run(*device);
  Launch shared = launch("add_through_shared");
  shared.dynamic_shared_bytes = 230 << 10;
  Launch threads = launch("add_one");
  threads.block = {2048, 1, 1};
  Launch cooperative = launch("add_behind_grid_barrier");
  cooperative.cooperative = true;
  cooperative.grid = {100'000, 1, 1};
  Launch cluster = launch("add_in_cluster");
  cluster.cluster = {8, 2, 1};
  for (const Launch& refused : {shared, threads, cooperative, cluster}) {
    const auto report = run.run(plan_of(refused));
    ASSERT_TRUE(report.ok()) << report.error().message;
    ASSERT_TRUE(report->fault) << refused.kernel;
    EXPECT_EQ(report->fault->kind, Fault::Kind::launch_failed) << report->fault->explanation;
    EXPECT_THAT(report->fault->explanation, HasSubstr(refused.kernel));
  }
  EXPECT_TRUE(device->healthy());
  ASSERT_TRUE(run.run(plan_of(launch("add_one"))).ok());
  EXPECT_TRUE(run.holds(1));
}

struct Expected {
  const char* kernel;
  Fault::Kind kind;
};
void PrintTo(const Expected& expected, std::ostream* stream) { *stream << expected.kernel; }

class FaultTest : public ::testing::TestWithParam<Expected> {
 protected:
  void SetUp() override { cuda_bench::restart(); }
};

TEST_P(FaultTest, IsTheCandidatesAndEndsTheDevice) {
  const auto device = make_device();
  Rig run(*device);
  const auto report = run.run(plan_of(launch(GetParam().kernel)), {.deadline_seconds = 0.2});
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_TRUE(report->fault);
  EXPECT_EQ(report->fault->kind, GetParam().kind) << report->fault->explanation;
  EXPECT_THAT(report->fault->explanation, HasSubstr(GetParam().kernel));
  EXPECT_FALSE(device->healthy());
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest,
                         ::testing::Values(Expected{"far_write", Fault::Kind::illegal_address},
                                           Expected{"crooked_read",
                                                    Fault::Kind::misaligned_address},
                                           Expected{"trap", Fault::Kind::trap},
                                           Expected{"endless", Fault::Kind::timeout}));

TEST_F(CudaDeviceTest, SeesWritesIntoRedZones) {
  const auto device = make_device();
  Rig run(*device);
  Launch past = launch("past_the_end");
  ASSERT_TRUE(run.run(plan_of(past)).ok());
  const auto damage = device->check_red_zones(run.y_buffer);
  ASSERT_TRUE(damage.ok());
  EXPECT_EQ(damage->bytes_before, 0u);
  EXPECT_GT(damage->bytes_after, 0u);
  EXPECT_LE(damage->bytes_after, 4u);
  EXPECT_EQ(damage->buffer, "y");
}

TEST_F(CudaDeviceTest, MoreScratchThanThereIsIsTheCandidatesFault) {
  const auto device = make_device();
  Rig run(*device);
  LaunchPlan plan = plan_of(launch("add_one"));
  plan.allocations.push_back({Allocation::Kind::scratch, 0, "", uint64_t{2} << 30});
  const auto report = run.run(plan);
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_TRUE(report->fault);
  EXPECT_EQ(report->fault->kind, Fault::Kind::launch_failed);
  EXPECT_EQ(report->fault->reason, "scratch_memory");
  EXPECT_THAT(report->fault->explanation, HasSubstr("allocates 2048 MiB of scratch"));
  EXPECT_TRUE(device->healthy());
}

TEST_F(CudaDeviceTest, ALostGpuIsTroubleOfOursNeverTheCandidates) {
  const auto device = make_device();
  Rig run(*device);
  fail_next("cuStreamQuery", CUDA_ERROR_ECC_UNCORRECTABLE);
  const auto report = run.run(plan_of(launch("add_one")));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, ErrorKind::device);
  EXPECT_THAT(report.error().message, HasSubstr("CUDA_ERROR_ECC_UNCORRECTABLE"));
  EXPECT_FALSE(device->healthy());
}

TEST_F(CudaDeviceTest, EveryCallOfTheDriverMayFail) {
  uint64_t held = control().allocated_bytes;
  for (const char* function :
       {"cuCtxCreate_v4", "cuStreamCreate", "cuModuleLoadDataEx", "cuModuleGetFunction",
        "cuMemAlloc_v2", "cuMemcpyHtoD_v2", "cuLaunchKernelEx", "cuStreamBeginCapture_v2",
        "cuGraphInstantiateWithFlags", "cuGraphLaunch", "cuStreamSynchronize"}) {
    for (int call = 1; call < 20; ++call) {
      fail_next(function, CUDA_ERROR_DEVICE_UNAVAILABLE, call);
      const std::string where = std::string(function) + ", call " + std::to_string(call);
      bool lost = false;
      try {
        const auto device = make_device();
        auto buffer = device->allocate(4000, "x");
        if (!buffer.ok()) throw std::runtime_error(buffer.error().message);
        auto module = device->load(cuda_bench::kernels());
        if (!module.ok()) throw std::runtime_error(module.error().message);
        const Buffer arguments[] = {*buffer, *buffer};
        auto prepared = device->prepare(**module, plan_of(launch("add_one")), arguments);
        if (!prepared.ok()) throw std::runtime_error(prepared.error().message);
        const auto report = device->run(**prepared, {});
        lost = !device->healthy();
        if (!report.ok()) throw std::runtime_error(report.error().message);
        EXPECT_FALSE(report->fault) << where << ": " << report->fault->explanation;
      } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("CUDA_ERROR_DEVICE_UNAVAILABLE")) << where;
      }
      const bool never_failed = control().failing > 0;  // it was not called that often
      // Only the end of its process gives back what a lost device holds.
      if (lost) held = control().allocated_bytes;
      EXPECT_EQ(control().allocated_bytes, held) << where << ": device memory was not given back";
      if (never_failed) break;
    }
    control().failing = 0;
  }
}

TEST_F(CudaDeviceTest, TrustedKernelsAgreeWithTheVirtualDevices) {
  const auto device = make_device();
  const auto host = make_virtual_device("sm_90", 1);
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32, Dtype::u8}) {
    Fill fill;
    fill.kind = dtype == Dtype::i32 || dtype == Dtype::u8 ? FillKind::randint : FillKind::normal;
    fill.dtype = dtype;
    fill.elements = 3001;
    fill.a = 0;
    fill.b = fill.kind == FillKind::randint ? 100 : 1;
    const uint64_t bytes = fill.elements * size_bytes(dtype);
    std::vector<std::byte> seen[2];
    uint64_t hashes[2];
    Comparison comparisons[2];
    for (const int side : {0, 1}) {
      Device& on = side == 0 ? *device : *host;
      const Buffer buffer = on.allocate(bytes, "x").value();
      const Buffer other = on.allocate(bytes, "y").value();
      ASSERT_TRUE(on.fill(buffer, fill, {99, 1}).ok());
      ASSERT_TRUE(on.fill(other, fill, {99, 2}).ok());
      seen[side].resize(bytes);
      ASSERT_TRUE(on.download(buffer, seen[side]).ok());
      hashes[side] = on.hash(buffer).value();
      comparisons[side] =
          on.compare(buffer, other, dtype, fill.elements, {0.5, 0.1, std::nullopt}).value();
      on.release(buffer);
      on.release(other);
    }
    EXPECT_EQ(seen[0], seen[1]) << name(dtype);
    EXPECT_EQ(hashes[0], hashes[1]) << name(dtype);
    EXPECT_EQ(comparisons[0].mismatches, comparisons[1].mismatches) << name(dtype);
    ASSERT_TRUE(comparisons[0].first && comparisons[1].first) << name(dtype);
    EXPECT_EQ(comparisons[0].first->index, comparisons[1].first->index) << name(dtype);
    EXPECT_EQ(comparisons[0].worst->index, comparisons[1].worst->index) << name(dtype);
    EXPECT_EQ(comparisons[0].max_absolute, comparisons[1].max_absolute) << name(dtype);
  }
}

}  // namespace
}  // namespace assay
