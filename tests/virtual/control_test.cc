// Control flow: the same functions on the host and on the virtual device, and what warps do when
// their lanes part.
#include <numeric>

#include "base/files.h"
#include "tests/virtual/rig.h"

#define FUNCTION inline
#include "tests/virtual/control_functions.inl"
#undef FUNCTION

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

std::string source() {
  const auto functions =
      read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/virtual/control_functions.inl");
  return "#define FUNCTION __device__ __noinline__\n" + functions.value() + R"(
#define KERNEL(f) extern "C" __global__ void k_##f(int* o, int n) { \
  int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = (int)f(i * 37 - 500); }
KERNEL(nested_branches) KERNEL(collatz) KERNEL(early_returns) KERNEL(switches) KERNEL(local_array)
KERNEL(structs) KERNEL(wide_arithmetic)
extern "C" __global__ void k_recursive(int* o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = recursive(i % 11); }
extern "C" __global__ void k_ackermann(int* o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = ackermann_like(i % 3, i % 5); }

__device__ int plus_one(int x) { return x + 1; }
__device__ int times_three(int x) { return x * 3; }
__device__ int square(int x) { return x * x; }
typedef int (*Function)(int);
__device__ Function table[3] = {plus_one, times_three, square};
extern "C" __global__ void pointers(int* o) { o[threadIdx.x] = table[threadIdx.x % 3](threadIdx.x); }

__device__ __noinline__ int warp_sum(int x) {
  for (int d = 16; d > 0; d >>= 1) x += __shfl_xor_sync(0xffffffffu, x, d);
  return x;
}
extern "C" __global__ void divergent_then_sum(int* o) {
  int v = 0;
  for (int i = 0; i < threadIdx.x % 5; ++i) v += i * threadIdx.x;
  if (threadIdx.x & 1) v += 3;
  o[threadIdx.x] = warp_sum(v);
}
extern "C" __global__ void halves(int* o) {
  unsigned mask = threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u;
  int v = threadIdx.x;
  if (threadIdx.x % 32 < 16) {
    for (int d = 8; d > 0; d >>= 1) v += __shfl_xor_sync(mask, v, d);
  } else {
    for (int d = 8; d > 0; d >>= 1) v = max(v, __shfl_xor_sync(mask, v, d));
    v += __popc(__ballot_sync(mask, threadIdx.x & 1));
  }
  o[threadIdx.x] = v;
}
extern "C" __global__ void tiles(int* o) {
  unsigned mask = 0xffu << (threadIdx.x & 24);
  int v = threadIdx.x;
  for (int d = 4; d > 0; d >>= 1) v += __shfl_xor_sync(mask, v, d, 8);
  o[threadIdx.x] = v;
}
extern "C" __global__ void lock_in_a_warp(int* o, int* lock) {
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      o[0] = o[0] * 2 % 1000003 + 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}
extern "C" __global__ void wait_for_a_lane(int* o, volatile int* flag) {
  if (threadIdx.x == 31) { flag[0] = 1; }
  else { while (flag[0] == 0) { } }
  o[threadIdx.x] = 5;
}
extern "C" __global__ void wait_for_a_lower_block(int* o, volatile int* ready) {
  // A chain through all blocks, each waiting for the one before it.
  if (threadIdx.x == 0) {
    int before = 0;
    if (blockIdx.x > 0) { while ((before = ready[blockIdx.x - 1]) == 0) { } }
    o[blockIdx.x] = before + 1;
    __threadfence();
    ready[blockIdx.x] = before + 1;
  }
}
extern "C" __global__ void warp_barriers_apart(int* o) {
  __shared__ int s[32];
  s[threadIdx.x] = 0;
  __syncwarp();
  if (threadIdx.x < 16) { s[threadIdx.x] = 1; __syncwarp(); }
  else { s[threadIdx.x] = 2; __syncwarp(); }
  o[threadIdx.x] = s[31 - threadIdx.x];
}
)";
}

class Control : public ::testing::TestWithParam<uint32_t> {};

void compare(Bench& bench, const char* kernel, int (*function)(int)) {
  const int n = 500;
  bench.tensor("o", std::vector<int>(n, -1));
  ASSERT_EQ(fault_of(bench.launch(kernel, {4}, {128}, Pointer{"o"}, n)), "") << kernel;
  const auto o = bench.read<int>("o");
  for (int i = 0; i < n; ++i)
    ASSERT_EQ(o[static_cast<size_t>(i)], function(i)) << kernel << " " << i;
}

TEST_P(Control, FunctionsGiveTheSameAsOnTheHost) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx, 2);
  bench.options.schedule_seed = GetParam();
  compare(bench, "k_nested_branches", [](int i) { return nested_branches(i * 37 - 500); });
  compare(bench, "k_collatz", [](int i) { return collatz(i * 37 - 500); });
  compare(bench, "k_early_returns", [](int i) { return early_returns(i * 37 - 500); });
  compare(bench, "k_switches", [](int i) { return switches(i * 37 - 500); });
  compare(bench, "k_local_array", [](int i) { return local_array(i * 37 - 500); });
  compare(bench, "k_structs", [](int i) { return structs(i * 37 - 500); });
  compare(bench, "k_wide_arithmetic",
          [](int i) { return static_cast<int>(wide_arithmetic(i * 37 - 500)); });
  compare(bench, "k_recursive", [](int i) { return recursive(i % 11); });
  compare(bench, "k_ackermann", [](int i) { return ackermann_like(i % 3, i % 5); });
}

TEST_P(Control, CallsThroughPointersGoToEachLanesFunction) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx);
  bench.options.schedule_seed = GetParam();
  bench.tensor("o", std::vector<int>(64));
  ASSERT_EQ(fault_of(bench.launch("pointers", {1}, {64}, Pointer{"o"})), "");
  const auto o = bench.read<int>("o");
  for (int i = 0; i < 64; ++i) {
    ASSERT_EQ(o[static_cast<size_t>(i)], i % 3 == 0 ? i + 1 : i % 3 == 1 ? i * 3 : i * i);
  }
}

TEST_P(Control, LanesMeetAgainBeforeAShuffle) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx);
  bench.options.schedule_seed = GetParam();
  bench.tensor("o", std::vector<int>(64));
  ASSERT_EQ(fault_of(bench.launch("divergent_then_sum", {1}, {64}, Pointer{"o"})), "");
  const auto o = bench.read<int>("o");
  for (int w = 0; w < 2; ++w) {
    int sum = 0;
    for (int t = w * 32; t < w * 32 + 32; ++t) {
      for (int i = 0; i < t % 5; ++i) sum += i * t;
      if ((t & 1) != 0) sum += 3;
    }
    for (int t = 0; t < 32; ++t) ASSERT_EQ(o[static_cast<size_t>(w * 32 + t)], sum);
  }
}

TEST_P(Control, HalvesOfAWarpShuffleApart) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx);
  bench.options.schedule_seed = GetParam();
  bench.tensor("o", std::vector<int>(64));
  ASSERT_EQ(fault_of(bench.launch("halves", {1}, {64}, Pointer{"o"})), "");
  const auto o = bench.read<int>("o");
  for (size_t t = 0; t < 64; ++t) {
    const int base = static_cast<int>(t / 32 * 32);
    ASSERT_EQ(o[t], t % 32 < 16 ? base * 16 + 120 : base + 31 + 8);
  }
}

TEST_P(Control, TilesWithMasksOfTheirOwnShuffleTogether) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx);
  bench.options.schedule_seed = GetParam();
  bench.tensor("o", std::vector<int>(64));
  ASSERT_EQ(fault_of(bench.launch("tiles", {1}, {64}, Pointer{"o"})), "");
  const auto o = bench.read<int>("o");
  for (int t = 0; t < 64; ++t) ASSERT_EQ(o[static_cast<size_t>(t)], (t & ~7) * 8 + 28);
}

TEST_P(Control, ALockBetweenLanesDoesNotHang) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx);
  bench.options.schedule_seed = GetParam();
  bench.options.instruction_budget = 100'000'000;
  bench.tensor("o", std::vector<int>(1));
  bench.tensor("lock", std::vector<int>(1));
  ASSERT_EQ(fault_of(bench.launch("lock_in_a_warp", {3}, {64}, Pointer{"o"}, Pointer{"lock"})), "");
  int want = 0;
  for (int i = 0; i < 192; ++i) want = want * 2 % 1000003 + 1;
  EXPECT_EQ(bench.read<int>("o")[0], want);
}

TEST_P(Control, LanesThatWaitForAnotherLaneLetItRun) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx);
  bench.options.schedule_seed = GetParam();
  bench.options.instruction_budget = 100'000'000;
  bench.tensor("o", std::vector<int>(32));
  bench.tensor("flag", std::vector<int>(1));
  ASSERT_EQ(fault_of(bench.launch("wait_for_a_lane", {1}, {32}, Pointer{"o"}, Pointer{"flag"})),
            "");
  EXPECT_EQ(bench.read<int>("o"), std::vector<int>(32, 5));
}

TEST_P(Control, BlocksThatWaitForOthersLetThemRun) {
  ASSAY_REQUIRE_PTX(ptx, source());
  for (const int threads : {1, 3}) {
    Bench bench(ptx, threads);
    bench.options.schedule_seed = GetParam();
    bench.options.instruction_budget = 4'000'000'000;
    bench.tensor("o", std::vector<int>(20));
    bench.tensor("ready", std::vector<int>(20));
    ASSERT_EQ(fault_of(bench.launch("wait_for_a_lower_block", {20}, {32}, Pointer{"o"},
                                    Pointer{"ready"})),
              "");
    std::vector<int> want(20);
    std::iota(want.begin(), want.end(), 1);
    EXPECT_EQ(bench.read<int>("o"), want);
  }
}

TEST_P(Control, WarpBarriersMayBeMetAtDifferentPlaces) {
  ASSAY_REQUIRE_PTX(ptx, source());
  Bench bench(ptx);
  bench.options.schedule_seed = GetParam();
  bench.tensor("o", std::vector<int>(32));
  ASSERT_EQ(fault_of(bench.launch("warp_barriers_apart", {1}, {32}, Pointer{"o"})), "");
  const auto o = bench.read<int>("o");
  for (size_t t = 0; t < 32; ++t) ASSERT_EQ(o[t], t < 16 ? 2 : 1);
}

INSTANTIATE_TEST_SUITE_P(Schedules, Control, ::testing::Values(0u, 1u, 5u));

}  // namespace
}  // namespace assay
