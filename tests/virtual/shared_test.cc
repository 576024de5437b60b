// Shared memory: races, uninitialised reads, bank conflicts, barriers; what is and is not reported.
#include "evaluator/device/virtual/shadow.h"
#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

const char* const kSource = R"(#include <cuda_pipeline.h>
#include <cuda/barrier>
extern "C" __global__ void missing_barrier(int* o) {
  __shared__ int s[64];
  s[threadIdx.x] = threadIdx.x;
  o[threadIdx.x] = s[63 - threadIdx.x];
}
extern "C" __global__ void with_barrier(int* o) {
  __shared__ int s[64];
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[63 - threadIdx.x];
}
extern "C" __global__ void overwritten_while_read(int* o) {
  __shared__ int s[64];
  for (int round = 0; round < 3; ++round) {
    s[threadIdx.x] = threadIdx.x + round;
    __syncthreads();
    o[threadIdx.x] += s[63 - threadIdx.x];
    // no barrier before the next round writes
  }
}
extern "C" __global__ void all_read_then_one_writes(int* o) {
  __shared__ int s[1];
  if (threadIdx.x == 0) s[0] = 1;
  __syncthreads();
  o[threadIdx.x] = s[0];
  if (threadIdx.x == 0) s[0] = 2;
}
extern "C" __global__ void two_warps_write(int* o) {
  __shared__ int s[32];
  s[threadIdx.x % 32] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[threadIdx.x % 32];
}
extern "C" __global__ void all_write_the_same(int* o) {
  __shared__ int s[1];
  s[0] = 5;
  __syncthreads();
  o[threadIdx.x] = s[0];
}
extern "C" __global__ void within_a_warp(int* o) {
  __shared__ int s[64];
  int base = threadIdx.x / 32 * 32, lane = threadIdx.x % 32;
  s[base + lane] = threadIdx.x;
  __syncwarp();
  o[threadIdx.x] = s[base + 31 - lane];
}
extern "C" __global__ void neighbouring_bytes(unsigned char* o) {
  __shared__ unsigned char s[130];
  s[threadIdx.x + 1] = threadIdx.x;
  s[0] = 0;
  __syncthreads();
  o[threadIdx.x] = s[64 - threadIdx.x];
}
extern "C" __global__ void neighbouring_halves(unsigned short* o) {
  __shared__ unsigned short s[66];
  s[threadIdx.x + 1] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[64 - threadIdx.x];
}
extern "C" __global__ void named_barriers(int* o) {
  __shared__ int s[64];
  // Producer and consumer warps with barriers of their own.
  for (int round = 0; round < 4; ++round) {
    if (threadIdx.x < 32) {
      s[threadIdx.x] = threadIdx.x + round;
      asm volatile("bar.arrive 1, 64;" ::: "memory");
      asm volatile("bar.sync 2, 64;" ::: "memory");
    } else {
      asm volatile("bar.sync 1, 64;" ::: "memory");
      o[threadIdx.x] += s[threadIdx.x - 32];
      asm volatile("bar.arrive 2, 64;" ::: "memory");
    }
  }
}
extern "C" __global__ void atomics(int* o) {
  __shared__ int s[4];
  if (threadIdx.x < 4) s[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&s[threadIdx.x % 4], 1);
  __syncthreads();
  if (threadIdx.x < 4) o[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void atomics_without_barrier(int* o) {
  __shared__ int s[4];
  if (threadIdx.x < 4) s[threadIdx.x] = 0;
  atomicAdd(&s[threadIdx.x % 4], 1);
  __syncthreads();
  if (threadIdx.x < 4) o[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void plain_and_atomic(int* o) {
  __shared__ int s[4];
  if (threadIdx.x < 4) s[threadIdx.x] = 40;
  if (threadIdx.x < 32) atomicAdd(&s[threadIdx.x % 4], 1);
  if (threadIdx.x >= 32) o[threadIdx.x] = s[threadIdx.x % 4];
}
extern "C" __global__ void pipeline(const int* x, int* o) {
  __shared__ int s[2][64];
  for (int stage = 0; stage < 4; ++stage) {
    __pipeline_memcpy_async(&s[stage & 1][threadIdx.x], x + threadIdx.x, 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    o[threadIdx.x] += s[stage & 1][63 - threadIdx.x];
  }
}
extern "C" __global__ void barrier_object(int* o) {
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ cuda::barrier<cuda::thread_scope_block> b;
  __shared__ int s[64];
  if (threadIdx.x == 0) init(&b, blockDim.x);
  __syncthreads();
  for (int round = 0; round < 3; ++round) {
    s[threadIdx.x] = threadIdx.x + round;
    b.arrive_and_wait();
    o[threadIdx.x] += s[63 - threadIdx.x];
    b.arrive_and_wait();
  }
}
extern "C" __global__ void uninitialised(int* o) {
  __shared__ int s[64];
  if (threadIdx.x < 32) s[threadIdx.x] = 1;
  __syncthreads();
  o[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void strided(int* o, int stride) {
  __shared__ int s[1024];
  s[threadIdx.x * stride % 1024] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[threadIdx.x * stride % 1024];
}
extern "C" __global__ void wide(float4* o) {
  __shared__ float4 s[32];
  s[threadIdx.x] = make_float4(threadIdx.x, 1, 2, 3);
  __syncthreads();
  o[threadIdx.x] = s[31 - threadIdx.x];
}
extern "C" __global__ void reductions(int* o) {
  int x = threadIdx.x;
  o[threadIdx.x] = __syncthreads_count(x % 3 == 0) * 100 + __syncthreads_and(x < 64) * 10 +
                   __syncthreads_or(x == 63);
}
extern "C" __global__ void dynamic_shared(int* o, int n) {
  extern __shared__ int s[];
  __shared__ int t[3];
  for (int i = threadIdx.x; i < n; i += blockDim.x) s[i] = i;
  if (threadIdx.x < 3) t[threadIdx.x] = 7;
  __syncthreads();
  o[threadIdx.x] = s[n - 1 - threadIdx.x] + t[threadIdx.x % 3];
}
extern "C" __global__ void tail_of_a_block(int* o) {
  __shared__ int s[40];
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  o[threadIdx.x] = s[39 - threadIdx.x];
}
)";

class Shared : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto ptx = rig::compile(kSource);
    if (!ptx) GTEST_SKIP() << "no nvcc on this machine";
    bench = std::make_unique<Bench>(*ptx);
    bench->tensor("o", std::vector<int>(256));
    bench->tensor("x", std::vector<int>(64, 3));
  }
  RunReport run(const char* kernel, uint32_t threads = 64) {
    return bench->launch(kernel, {2}, {threads}, Pointer{"o"});
  }
  void expect_race(const char* kernel, const std::string& text) {
    const RunReport report = run(kernel);
    ASSERT_TRUE(report.fault.has_value()) << kernel;
    EXPECT_EQ(report.fault->kind, Fault::Kind::shared_race);
    EXPECT_EQ(report.fault->reason, "shared_race");
    EXPECT_NE(report.fault->explanation.find(text), std::string::npos) << report.fault->explanation;
  }
  void expect_clean(const char* kernel) {
    bench->tensor("o", std::vector<int>(256));
    const RunReport report = run(kernel);
    EXPECT_EQ(fault_of(report), "") << kernel;
    EXPECT_TRUE(report.notes.empty()) << kernel << ": " << report.notes.front();
  }
  std::unique_ptr<Bench> bench;
};

TEST_F(Shared, AReadOfWhatAnotherWarpWritesWithNoBarrierIsARace) {
  // Warp 0 has read the upper half when warp 1 comes to write it.
  expect_race("missing_barrier",
              "line 5: shared memory race: warps 1 and 0 of the block write (the "
              "first) and read (the second) the 4 bytes");
}

TEST_F(Shared, AWriteOverWhatAnotherWarpStillReadsIsARace) {
  // The last warp at the barrier goes on first and writes the next round's values.
  expect_race("overwritten_while_read",
              "line 19: shared memory race: warps 0 and 1 of the block "
              "read (the first) and write (the second) the 4 bytes");
}

TEST_F(Shared, AWriteOverWhatAllWarpsReadIsARace) {
  expect_race("all_read_then_one_writes", "shared memory race");
}

TEST_F(Shared, TwoWritesOfDifferentValuesAreARace) { expect_race("two_warps_write", "both write"); }

TEST_F(Shared, CorrectSynchronisationIsNeverReported) {
  expect_clean("with_barrier");
  expect_clean("all_write_the_same");
  expect_clean("within_a_warp");
  expect_clean("neighbouring_bytes");
  expect_clean("neighbouring_halves");
  expect_clean("named_barriers");
  expect_clean("atomics");
  expect_clean("barrier_object");
  EXPECT_EQ(fault_of(bench->launch("pipeline", {1}, {64}, Pointer{"x"}, Pointer{"o"})), "");
}

TEST_F(Shared, ARaceWithAnAtomicIsOnlyNoted) {
  const RunReport report = run("atomics_without_barrier");
  EXPECT_EQ(fault_of(report), "");
  ASSERT_FALSE(report.notes.empty());
  EXPECT_NE(report.notes[0].find("possible shared memory race"), std::string::npos);
}

TEST_F(Shared, APlainWriteStaysOneWhenAnAtomicFollows) {
  expect_race("plain_and_atomic", "shared memory race");
}

TEST_F(Shared, NamedBarriersAndBarrierObjectsSynchronise) {
  for (const uint32_t seed : {0u, 1u, 2u, 3u}) {
    bench->options.schedule_seed = seed;
    expect_clean("named_barriers");
    for (int t = 0; t < 32; ++t) {
      ASSERT_EQ(bench->read<int>("o")[static_cast<size_t>(t + 32)], 2 * (4 * t + 6));
    }
    expect_clean("barrier_object");
    for (int t = 0; t < 64; ++t) {
      ASSERT_EQ(bench->read<int>("o")[static_cast<size_t>(t)], 2 * (3 * (63 - t) + 3));
    }
  }
}

TEST(Shadow, NumbersOfEpochsMayRunOut) {
  // Across more barriers than a tag has numbers for: still no race, still initialised.
  virtual_gpu::SharedShadow shadow;
  virtual_gpu::SharedShadow::Conflict conflict;
  shadow.begin(64);
  ASSERT_FALSE(shadow.write(0, 4, 0xf, 0, false, conflict));
  ASSERT_FALSE(shadow.write(4, 2, 0x3, 0, false, conflict));
  for (int barrier = 0; barrier < 9'000'000; ++barrier) {
    shadow.next_epoch();
    if (barrier % 1000 != 0) continue;
    ASSERT_FALSE(shadow.uninitialised(0, 6));
    ASSERT_TRUE(shadow.uninitialised(6, 1));
    ASSERT_TRUE(shadow.uninitialised(8, 4));
    ASSERT_FALSE(shadow.read(0, 4, 1, false, conflict)) << barrier;
    shadow.next_epoch();
    ASSERT_FALSE(shadow.write(0, 4, 0xf, 0, false, conflict)) << barrier;
  }
  shadow.next_epoch();
  ASSERT_FALSE(shadow.write(0, 4, 0xf, 1, false, conflict));
  EXPECT_TRUE(shadow.read(0, 4, 0, false, conflict));
  shadow.begin(64);
  EXPECT_TRUE(shadow.uninitialised(0, 4));
}

TEST_F(Shared, UninitialisedReadsAreCountedAndHoldGarbage) {
  const RunReport report = run("uninitialised");
  EXPECT_EQ(report.launches[0].uninitialised_shared_reads, 64u);  // 32 lanes of each block
  const auto first = bench->read<int>("o");
  EXPECT_NE(first[40], 0);
  bench->options.schedule_seed = 9;
  run("uninitialised");
  EXPECT_NE(bench->read<int>("o")[40], first[40]);
}

TEST_F(Shared, BankConflictsAreCounted) {
  const auto conflicts = [&](int stride) {
    return bench->launch("strided", {1}, {32}, Pointer{"o"}, stride)
        .launches[0]
        .shared_bank_conflicts;
  };
  EXPECT_EQ(conflicts(1), 0u);
  EXPECT_EQ(conflicts(33), 0u);
  EXPECT_EQ(conflicts(2), 2u);    // two words a bank, for the store and for the load
  EXPECT_EQ(conflicts(32), 62u);  // all in one bank
  EXPECT_EQ(conflicts(0), 0u);    // one word for all
  bench->tensor("o", std::vector<float>(128));
  EXPECT_EQ(bench->launch("wide", {1}, {32}, Pointer{"o"}).launches[0].shared_bank_conflicts, 0u);
}

TEST_F(Shared, BarriersReduceVotes) {
  ASSERT_EQ(fault_of(run("reductions")), "");
  EXPECT_EQ(bench->read<int>("o")[17], 22 * 100 + 10 + 1);
}

TEST_F(Shared, DynamicMemoryFollowsTheStatic) {
  bench->dynamic_shared = 4 * 5000;
  EXPECT_EQ(fault_of(bench->launch("dynamic_shared", {1}, {64}, Pointer{"o"}, 5000)), "");
  EXPECT_EQ(bench->read<int>("o")[5], 5000 - 1 - 5 + 7);
  EXPECT_NE(fault_of(bench->launch("dynamic_shared", {1}, {64}, Pointer{"o"}, 5001)), "");
}

TEST_F(Shared, ABlockMayEndWithinAWarp) {
  ASSERT_EQ(fault_of(run("tail_of_a_block", 40)), "");
  EXPECT_EQ(bench->read<int>("o")[38], 1);
}

}  // namespace
}  // namespace assay
