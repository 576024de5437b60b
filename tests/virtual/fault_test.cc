// What stops a kernel, and the sentences that say so.
#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

const char* const kSource = R"(#include <cassert>
#include <cstdio>
__constant__ int constants[4];
__device__ int variable[4];
extern "C" __global__ void store_at(float* y, long long i) {
  if (threadIdx.x == 3) y[i] = 1;
}
extern "C" __global__ void load_at(const float* y, float* out, long long i) {
  out[0] = y[i];
}
extern "C" __global__ void load_wide(const char* y, float4* out, int offset) {
  out[0] = *(const float4*)(y + offset);
}
extern "C" __global__ void shared_store(int* out, int i) {
  __shared__ int s[8];
  s[i] = threadIdx.x;
  __syncthreads();
  out[0] = s[0];
}
extern "C" __global__ void generic_shared(int* out, int i) {
  __shared__ int s[8];
  int* p = i < 1000 ? s : out;
  p[i] = 1;
  __syncthreads();
  out[0] = s[1];
}
extern "C" __global__ void local_store(int* out, int i, int v) {
  int a[4] = {v, 2, 3, 4};
  a[i] = v;
  for (int k = 0; k < 4; ++k) out[k] = a[(k + v) & 3];
}
extern "C" __global__ void write_constant(int* out) {
  int* p = (int*)constants;
  asm volatile("cvta.const.u64 %0, %0;" : "+l"(p));
  p[1] = 3;
}
extern "C" __global__ void past_variable(int* out, int i) { variable[i] = 1; }
extern "C" __global__ void traps(int n) { if (threadIdx.x == 5 && n == 1) __trap(); }
extern "C" __global__ void asserts(int n) { assert(n > (int)threadIdx.x); }
extern "C" __global__ void prints(int n) {
  if (threadIdx.x < 2) printf("thread %d of %s: %5.2f %lld\n", threadIdx.x, "block", 1.5 * n, 1ll << 40);
}
__device__ __noinline__ int descend(int n, const int* x) { return n <= 0 ? 1 : descend(n - 1, x) * 3 ^ x[n & 7]; }
extern "C" __global__ void recursion(int* out, int depth) { out[0] = descend(depth, out + 8); }
__device__ __noinline__ int large(int n, int v) { int a[600]; a[v & 511] = v; a[n & 511] = n; return a[(v + n) & 511]; }
extern "C" __global__ void large_frame(int* out, int n) { out[0] = large(n, n + 1); }
extern "C" __global__ void spins(volatile int* out) { while (out[0] == 0) { } }
extern "C" __global__ void divergent_barrier(int* out) {
  if (threadIdx.x % 32 < 16) { __syncthreads(); out[threadIdx.x] = 1; }
  else { out[threadIdx.x] = 2; __syncthreads(); out[threadIdx.x] = 3; }
}
extern "C" __global__ void early_exit_before_barrier(int* out) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}
extern "C" __global__ void waits_for_ever(int* out) {
  if (threadIdx.x < 32) asm volatile("bar.sync 1, 64;");
  else asm volatile("bar.sync 2, 64;");
  out[threadIdx.x] = 1;
}
extern "C" __global__ void null_pointer(int* out) { out[0] = *(int*)(out[1] * 8ll); }
)";

Fault fault(const RunReport& report) { return report.fault ? *report.fault : Fault{}; }

class Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto ptx = rig::compile(kSource);
    if (!ptx) GTEST_SKIP() << "no nvcc on this machine";
    bench = std::make_unique<Bench>(*ptx, 2);
    bench->tensor("y", std::vector<float>(1024));
    bench->tensor("out", std::vector<int>(64));
  }
  std::unique_ptr<Bench> bench;
};

TEST_F(Faults, AStorePastTheEndNamesTheTensorAndTheDistance) {
  const Fault found = fault(bench->launch("store_at", {2}, {32}, Pointer{"y"}, 1025ll));
  EXPECT_EQ(found.kind, Fault::Kind::illegal_address);
  EXPECT_EQ(found.reason, "illegal_address");
  EXPECT_EQ(found.kernel, "store_at");
  EXPECT_EQ(found.source_line, 6u);
  EXPECT_EQ(
      found.explanation,
      "kernel store_at, block (0,0,0), thread (3,0,0), line 6: writes 4 bytes 4 bytes past the "
      "end of tensor y (4096 bytes) (instruction st.global.u32)");
}

TEST_F(Faults, ALoadBeforeTheStartNamesTheTensorAndTheDistance) {
  const Fault found = fault(bench->launch("load_at", {1}, {1}, Pointer{"y"}, Pointer{"out"}, -2ll));
  EXPECT_EQ(found.kind, Fault::Kind::illegal_address);
  EXPECT_NE(found.explanation.find("reads 4 bytes 8 bytes before the start of tensor y"),
            std::string::npos)
      << found.explanation;
}

TEST_F(Faults, AnAddressFarAwayIsCaughtTooEvenIfItIsInAnotherBuffer) {
  for (const long long index : {1ll << 20, 1ll << 30, -(1ll << 29), 1ll << 45}) {
    const Fault found =
        fault(bench->launch("load_at", {1}, {1}, Pointer{"y"}, Pointer{"out"}, index));
    EXPECT_EQ(found.kind, Fault::Kind::illegal_address) << index;
  }
}

TEST_F(Faults, AMisalignedVectorLoadSaysSo) {
  const Fault found = fault(bench->launch("load_wide", {1}, {1}, Pointer{"y"}, Pointer{"out"}, 8));
  EXPECT_EQ(found.kind, Fault::Kind::misaligned_address);
  EXPECT_NE(found.explanation.find(
                "reads 16 bytes at an address that is no multiple of 16: byte 8 of tensor y"),
            std::string::npos)
      << found.explanation;
  EXPECT_EQ(fault_of(bench->launch("load_wide", {1}, {1}, Pointer{"y"}, Pointer{"out"}, 32)), "");
}

TEST_F(Faults, AVectorLoadThatReachesPastTheEndIsCaught) {
  const Fault found =
      fault(bench->launch("load_wide", {1}, {1}, Pointer{"y", 8}, Pointer{"out"}, 4088));
  EXPECT_EQ(found.kind, Fault::Kind::illegal_address);
}

TEST_F(Faults, SharedMemoryHasBounds) {
  const Fault found = fault(bench->launch("shared_store", {1}, {32}, Pointer{"out"}, 9));
  EXPECT_EQ(found.kind, Fault::Kind::illegal_address);
  EXPECT_NE(
      found.explanation.find("writes 4 bytes 4 bytes past the end of the block's shared memory "
                             "(32 bytes)"),
      std::string::npos)
      << found.explanation;
  EXPECT_NE(fault_of(bench->launch("shared_store", {1}, {32}, Pointer{"out"}, -1))
                .find("4 bytes before the start of the block's shared memory"),
            std::string::npos);
}

TEST_F(Faults, SharedMemoryHasBoundsThroughGenericPointersToo) {
  EXPECT_EQ(fault_of(bench->launch("generic_shared", {1}, {32}, Pointer{"out"}, 1)), "");
  EXPECT_EQ(bench->read<int>("out")[0], 1);
  EXPECT_NE(fault_of(bench->launch("generic_shared", {1}, {32}, Pointer{"out"}, 8))
                .find("past the end of the block's shared memory (32 bytes)"),
            std::string::npos);
}

TEST_F(Faults, LocalMemoryHasBounds) {
  EXPECT_EQ(fault_of(bench->launch("local_store", {1}, {1}, Pointer{"out"}, 2, 7)), "");
  EXPECT_EQ(bench->read<int>("out")[3], 7);  // a[2]
  const Fault found = fault(bench->launch("local_store", {1}, {1}, Pointer{"out"}, 1000, 7));
  EXPECT_EQ(found.kind, Fault::Kind::illegal_address);
  EXPECT_NE(found.explanation.find("of the thread's local memory"), std::string::npos);
}

TEST_F(Faults, ConstantsCannotBeWritten) {
  const Fault found = fault(bench->launch("write_constant", {1}, {1}, Pointer{"out"}));
  EXPECT_EQ(found.kind, Fault::Kind::illegal_address);
  EXPECT_NE(found.explanation.find("of variable constants (16 bytes), which kernels cannot write"),
            std::string::npos)
      << found.explanation;
}

TEST_F(Faults, VariablesHaveBoundsOfTheirOwn) {
  const Fault found = fault(bench->launch("past_variable", {1}, {1}, Pointer{"out"}, 4));
  EXPECT_NE(found.explanation.find("directly past the end of variable variable (16 bytes)"),
            std::string::npos)
      << found.explanation;
}

TEST_F(Faults, ANullPointerIsRecognised) {
  const Fault found = fault(bench->launch("null_pointer", {1}, {1}, Pointer{"out"}));
  EXPECT_NE(found.explanation.find("(a null pointer?)"), std::string::npos) << found.explanation;
}

TEST_F(Faults, ATrapNamesTheThread) {
  const Fault found = fault(bench->launch("traps", {1}, {32}, 1));
  EXPECT_EQ(found.kind, Fault::Kind::trap);
  EXPECT_EQ(found.source_line, 38u);
  EXPECT_NE(found.explanation.find("thread (5,0,0), line 38: the kernel executed a trap"),
            std::string::npos)
      << found.explanation;
  EXPECT_EQ(fault_of(bench->launch("traps", {1}, {32}, 0)), "");
}

TEST_F(Faults, AnAssertionQuotesItself) {
  const Fault found = fault(bench->launch("asserts", {1}, {64}, 7));
  EXPECT_EQ(found.kind, Fault::Kind::assertion);
  EXPECT_EQ(found.reason, "assertion");
  EXPECT_NE(found.explanation.find("thread (7,0,0)"), std::string::npos) << found.explanation;
  EXPECT_EQ(found.source_line, 39u);
  EXPECT_NE(found.explanation.find("assertion `n > (int)threadIdx.x' failed in void asserts(int), "
                                   "kernel.cu:39"),
            std::string::npos)
      << found.explanation;
}

TEST_F(Faults, PrintsInThreadOrder) {
  const RunReport report = bench->launch("prints", {1}, {32}, 3);
  EXPECT_EQ(report.printed,
            "thread 0 of block:  4.50 1099511627776\nthread 1 of block:  4.50 1099511627776\n");
}

TEST_F(Faults, DeepRecursionOverflowsTheStack) {
  EXPECT_EQ(fault_of(bench->launch("recursion", {1}, {32}, Pointer{"out"}, 20)), "");
  for (const int depth : {70, 1000, 1 << 30}) {
    const Fault found = fault(bench->launch("recursion", {1}, {32}, Pointer{"out"}, depth));
    EXPECT_EQ(found.kind, Fault::Kind::stack_overflow);
    EXPECT_EQ(found.reason, "stack_overflow");
    EXPECT_NE(
        found.explanation.find("call stack of 1024 bytes a thread is exhausted 65 calls deep"),
        std::string::npos)
        << found.explanation;
  }
}

TEST_F(Faults, WithoutRecursionLocalVariablesMayExceedTheStackLimit) {
  EXPECT_EQ(fault_of(bench->launch("large_frame", {1}, {32}, Pointer{"out"}, 3)), "");
}

TEST_F(Faults, AnEndlessLoopEndsByBudgetOrDeadline) {
  bench->options.instruction_budget = 3'000'000;
  Fault found = fault(bench->launch("spins", {4}, {64}, Pointer{"out"}));
  EXPECT_EQ(found.kind, Fault::Kind::timeout);
  EXPECT_EQ(found.reason, "kernel_time");
  EXPECT_NE(found.explanation.find("budget of instructions"), std::string::npos);
  bench->options = RunOptions{};
  bench->options.deadline_seconds = 0.05;
  found = fault(bench->launch("spins", {1}, {32}, Pointer{"out"}));
  EXPECT_EQ(found.kind, Fault::Kind::timeout);
  EXPECT_NE(found.explanation.find("deadline"), std::string::npos);
}

TEST_F(Faults, LanesOfAWarpAtDifferentBarriersAreDivergent) {
  const Fault found = fault(bench->launch("divergent_barrier", {1}, {32}, Pointer{"out"}));
  EXPECT_EQ(found.kind, Fault::Kind::divergent_barrier);
  EXPECT_NE(found.explanation.find("threads of one warp wait at different barriers"),
            std::string::npos)
      << found.explanation;
}

TEST_F(Faults, ThreadsThatExitedCountAtABarrier) {
  EXPECT_EQ(fault_of(bench->launch("early_exit_before_barrier", {1}, {64}, Pointer{"out"})), "");
  EXPECT_EQ(bench->read<int>("out")[39], 1);
}

TEST_F(Faults, WarpsAtDifferentNamedBarriersAreADeadlock) {
  const Fault found = fault(bench->launch("waits_for_ever", {1}, {64}, Pointer{"out"}));
  EXPECT_EQ(found.kind, Fault::Kind::divergent_barrier);
  EXPECT_NE(found.explanation.find("for threads that can never arrive"), std::string::npos)
      << found.explanation;
}

TEST_F(Faults, TheFirstBlockInOrderIsReportedOnAnyNumberOfThreads) {
  for (int repeat = 0; repeat < 5; ++repeat) {
    const Fault found = fault(bench->launch("store_at", {64}, {32}, Pointer{"y"}, 5000ll));
    EXPECT_NE(found.explanation.find("block (0,0,0)"), std::string::npos) << found.explanation;
  }
}

TEST_F(Faults, LaunchesBeyondTheDeviceFail) {
  EXPECT_EQ(fault(bench->launch("traps", {1}, {1025}, 0)).kind, Fault::Kind::launch_failed);
  EXPECT_EQ(fault(bench->launch("traps", {1, 65536}, {32}, 0)).kind, Fault::Kind::launch_failed);
  EXPECT_EQ(fault(bench->launch("traps", {1}, {16, 1, 65}, 0)).kind, Fault::Kind::launch_failed);
  bench->dynamic_shared = 300 << 10;
  const Fault found = fault(bench->launch("traps", {1}, {32}, 0));
  EXPECT_EQ(found.kind, Fault::Kind::launch_failed);
  EXPECT_EQ(found.reason, "launch_limits");
  EXPECT_EQ(found.explanation,
            "kernel traps: 307200 bytes of shared memory a block, the device has 232448");
}

}  // namespace
}  // namespace assay
