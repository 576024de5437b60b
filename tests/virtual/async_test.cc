// Asynchronous copies and the objects that wait for them, as CUDA's C++ library uses them.
#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

const char* const kSource = R"(
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/latch>
#include <cuda/pipeline>
#include <cuda_pipeline.h>
#pragma nv_diag_suppress static_var_with_dynamic_init
namespace cg = cooperative_groups;
// All kernels: 128 threads, o[i] = x[i / 128 * 128 + 127 - i % 128] for 512 elements.
extern "C" __global__ void block_pipeline(const float* x, float* o) {
  __shared__ alignas(16) float s[2][128];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  auto block = cg::this_thread_block();
  auto p = cuda::make_pipeline(block, &state);
  for (int i = 0; i < 4; ++i) {
    p.producer_acquire();
    cuda::memcpy_async(block, s[i & 1], x + i * 128, cuda::aligned_size_t<16>(512), p);
    p.producer_commit();
    p.consumer_wait();
    o[i * 128 + threadIdx.x] = s[i & 1][127 - threadIdx.x];
    p.consumer_release();
  }
}
extern "C" __global__ void thread_pipeline(const float* x, float* o) {
  __shared__ float s[4][128];
  auto p = cuda::make_pipeline();
  for (int i = 0; i < 4; ++i) {
    p.producer_acquire();
    cuda::memcpy_async(&s[i][threadIdx.x], &x[i * 128 + threadIdx.x], sizeof(float), p);
    p.producer_commit();
  }
  for (int i = 0; i < 4; ++i) {
    cuda::pipeline_consumer_wait_prior<0>(p);
    __syncthreads();
    o[i * 128 + threadIdx.x] = s[i][127 - threadIdx.x];
    p.consumer_release();
  }
}
extern "C" __global__ void producers_and_consumers(const float* x, float* o) {
  __shared__ float s[2][128];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  auto role = threadIdx.x < 32 ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer;
  auto p = cuda::make_pipeline(cg::this_thread_block(), &state, role);
  if (role == cuda::pipeline_role::producer) {
    for (int i = 0; i < 4; ++i) {
      p.producer_acquire();
      for (int k = threadIdx.x; k < 128; k += 32)
        cuda::memcpy_async(&s[i & 1][k], x + i * 128 + k, sizeof(float), p);
      p.producer_commit();
    }
  } else {
    for (int i = 0; i < 4; ++i) {
      p.consumer_wait();
      for (int k = threadIdx.x - 32; k < 128; k += 96) o[i * 128 + k] = s[i & 1][127 - k];
      p.consumer_release();
    }
  }
}
extern "C" __global__ void bulk_copies(const float* x, float* o) {
  __shared__ alignas(16) float s[128];
  __shared__ cuda::barrier<cuda::thread_scope_block> b;
  if (threadIdx.x == 0) { init(&b, blockDim.x); cuda::device::experimental::fence_proxy_async_shared_cta(); }
  __syncthreads();
  for (int i = 0; i < 4; ++i) {
    cuda::barrier<cuda::thread_scope_block>::arrival_token token;
    if (threadIdx.x == 0) {
      cuda::device::experimental::cp_async_bulk_global_to_shared(s, x + 128 * i, 512, b);
      token = cuda::device::barrier_arrive_tx(b, 1, 512);
    } else {
      token = b.arrive();
    }
    b.wait(std::move(token));
    float value = s[127 - threadIdx.x];
    __syncthreads();
    s[threadIdx.x] = value;
    cuda::device::experimental::fence_proxy_async_shared_cta();
    __syncthreads();
    if (threadIdx.x == 0) {
      cuda::device::experimental::cp_async_bulk_shared_to_global(o + 128 * i, s, 512);
      cuda::device::experimental::cp_async_bulk_commit_group();
      cuda::device::experimental::cp_async_bulk_wait_group_read<0>();
    }
    __syncthreads();
  }
}
extern "C" __global__ void barrier_copies(const float* x, float* o) {
  __shared__ alignas(16) float s[128];
  __shared__ cuda::barrier<cuda::thread_scope_block> b;
  if (threadIdx.x == 0) init(&b, blockDim.x);
  __syncthreads();
  for (int i = 0; i < 4; ++i) {
    cuda::memcpy_async(&s[threadIdx.x], x + i * 128 + threadIdx.x, sizeof(float), b);
    b.arrive_and_wait();
    o[i * 128 + threadIdx.x] = s[127 - threadIdx.x];
    b.arrive_and_wait();
  }
}
extern "C" __global__ void group_copies(const float* x, float* o) {
  __shared__ float s[128];
  auto block = cg::this_thread_block();
  for (int i = 0; i < 4; ++i) {
    cg::memcpy_async(block, s, x + 128 * i, sizeof(s));
    cg::wait(block);
    o[i * 128 + threadIdx.x] = s[127 - threadIdx.x];
    block.sync();
  }
}
extern "C" __global__ void zero_filled(const float* x, float* o) {
  __shared__ alignas(16) float s[4 * 128];
  __pipeline_memcpy_async(&s[4 * threadIdx.x], x + 4 * threadIdx.x, 16, threadIdx.x % 4 * 4);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  for (int k = 0; k < 4; ++k) o[4 * threadIdx.x + k] = s[4 * threadIdx.x + k];
}
extern "C" __global__ void latch(int* o) {
  __shared__ alignas(8) char raw[sizeof(cuda::latch<cuda::thread_scope_block>)];
  __shared__ int s[128];
  auto& l = *(cuda::latch<cuda::thread_scope_block>*)raw;
  if (threadIdx.x == 0) new (&l) cuda::latch<cuda::thread_scope_block>(blockDim.x);
  __syncthreads();
  s[threadIdx.x] = threadIdx.x;
  l.arrive_and_wait();
  o[threadIdx.x] = s[127 - threadIdx.x];
}
extern "C" __global__ void dependent(int* o) {
  cudaGridDependencySynchronize();
  o[threadIdx.x] = threadIdx.x;
  cudaTriggerProgrammaticLaunchCompletion();
}
extern "C" __global__ void atomic_references(int* o, float* f, double* d, long long* l) {
  cuda::atomic_ref<int, cuda::thread_scope_device> a(o[0]);
  a.fetch_add(2, cuda::memory_order_relaxed);
  cuda::atomic_ref<int, cuda::thread_scope_block>(o[1]).fetch_max(threadIdx.x, cuda::memory_order_acq_rel);
  cuda::atomic_ref<long long, cuda::thread_scope_system>(l[0]).fetch_xor(1ll << (threadIdx.x % 40));
  cuda::atomic_ref<float> g(f[0]); g.fetch_add(0.5f);
  cuda::atomic_ref<float>(f[1]).fetch_max((float)threadIdx.x);
  cuda::atomic_ref<double>(d[0]).fetch_sub(0.25);
  int expected = 0;
  cuda::atomic_ref<int> c(o[2]);
  if (c.compare_exchange_strong(expected, 77)) atomicAdd(&o[3], 1);
  cuda::atomic_thread_fence(cuda::memory_order_seq_cst, cuda::thread_scope_device);
  __shared__ cuda::atomic<int, cuda::thread_scope_block> sum;
  if (threadIdx.x == 0) new (&sum) cuda::atomic<int, cuda::thread_scope_block>(0);
  __syncthreads();
  sum.fetch_add(threadIdx.x);
  __syncthreads();
  o[4] = sum.load();
}
)";

class Async : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto ptx = rig::compile(kSource);
    if (!ptx) GTEST_SKIP() << "no nvcc on this machine";
    bench = std::make_unique<Bench>(*ptx);
    for (int i = 0; i < 512; ++i) x.push_back(static_cast<float>(i) + 0.5f);
    bench->tensor("x", x);
  }
  void expect_reversed(const char* kernel) {
    for (const uint32_t seed : {0u, 1u, 2u}) {
      bench->options.schedule_seed = seed;
      bench->tensor("o", std::vector<float>(512));
      const RunReport report = bench->launch(kernel, {1}, {128}, Pointer{"x"}, Pointer{"o"});
      ASSERT_EQ(fault_of(report), "") << kernel;
      EXPECT_TRUE(report.notes.empty()) << kernel << ": " << report.notes.front();
      const auto o = bench->read<float>("o");
      for (size_t i = 0; i < 512; ++i) {
        ASSERT_EQ(o[i], x[i / 128 * 128 + 127 - i % 128]) << kernel << " " << i;
      }
    }
  }
  std::unique_ptr<Bench> bench;
  std::vector<float> x;
};

TEST_F(Async, PipelinesOfABlock) { expect_reversed("block_pipeline"); }
TEST_F(Async, PipelinesOfAThread) { expect_reversed("thread_pipeline"); }
TEST_F(Async, ProducersAndConsumers) { expect_reversed("producers_and_consumers"); }
TEST_F(Async, BulkCopiesBothWays) { expect_reversed("bulk_copies"); }
TEST_F(Async, CopiesThatABarrierWaitsFor) { expect_reversed("barrier_copies"); }
TEST_F(Async, CopiesOfAGroup) { expect_reversed("group_copies"); }

TEST_F(Async, WhatIsNotCopiedBecomesZero) {
  bench->tensor("o", std::vector<float>(512));
  ASSERT_EQ(fault_of(bench->launch("zero_filled", {1}, {128}, Pointer{"x"}, Pointer{"o"})), "");
  const auto o = bench->read<float>("o");
  for (size_t i = 0; i < 512; ++i) {
    // __pipeline_memcpy_async's last argument is the number of bytes that are zeroed.
    ASSERT_EQ(o[i], i % 4 < 4 - i / 4 % 4 ? x[i] : 0.0f) << i;
  }
}

TEST_F(Async, LatchesOpenOnce) {
  bench->tensor("o", std::vector<int>(128));
  ASSERT_EQ(fault_of(bench->launch("latch", {1}, {128}, Pointer{"o"})), "");
  EXPECT_EQ(bench->read<int>("o")[5], 122);
}

TEST_F(Async, DependentLaunchesFollowEachOtherAnyway) {
  bench->tensor("o", std::vector<int>(128));
  ASSERT_EQ(fault_of(bench->launch("dependent", {1}, {128}, Pointer{"o"})), "");
  EXPECT_EQ(bench->read<int>("o")[5], 5);
}

TEST_F(Async, AtomicReferences) {
  bench->tensor("o", std::vector<int>(8));
  bench->tensor("f", std::vector<float>(2));
  bench->tensor("d", std::vector<double>(1));
  bench->tensor("l", std::vector<int64_t>(1));
  ASSERT_EQ(fault_of(bench->launch("atomic_references", {1}, {64}, Pointer{"o"}, Pointer{"f"},
                                   Pointer{"d"}, Pointer{"l"})),
            "");
  EXPECT_EQ(bench->read<int>("o"), (std::vector<int>{128, 63, 77, 1, 2016, 0, 0, 0}));
  EXPECT_EQ(bench->read<float>("f"), (std::vector<float>{32.0f, 63.0f}));
  EXPECT_EQ(bench->read<double>("d"), std::vector<double>{-16.0});
  EXPECT_EQ(bench->read<int64_t>("l")[0], ((1ll << 40) - 1) ^ ((1ll << 24) - 1));
}

}  // namespace
}  // namespace assay
