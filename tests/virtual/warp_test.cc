// Instructions of whole warps, and arithmetic that needs tensor cores or narrow types, from CUDA
// C++.
#include <bit>
#include <cmath>
#include <random>

#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

const char* const kSource = R"(
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <mma.h>
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_radix_sort.cuh>
namespace cg = cooperative_groups;
using namespace nvcuda;
extern "C" __global__ void votes(unsigned* o) {
  unsigned t = threadIdx.x, all = 0xffffffffu, r = 0;
  unsigned ballot = __ballot_sync(all, t % 3 == 0);
  r = ballot * 31 + __all_sync(all, t < 32) * 7 + __any_sync(all, t == 99) * 5;
  r = r * 31 + __match_any_sync(all, t % 5);
  int pred = 0;
  r = r * 31 + __match_all_sync(all, 4, &pred) + pred;
  r = r * 31 + __reduce_add_sync(all, t) + __reduce_min_sync(all, t + 3) + __reduce_or_sync(all, 1u << t);
  r = r * 31 + __shfl_up_sync(all, t, 3) + __shfl_down_sync(all, t, 5, 16) + __shfl_sync(all, t, 7, 8);
  if (t % 2) { r = r * 31 + __ballot_sync(0xaaaaaaaau, t > 16); r += __activemask() == 0xaaaaaaaau; }
  o[t] = r;
}
extern "C" __global__ void groups(int* o) {
  auto block = cg::this_thread_block();
  auto tile = cg::tiled_partition<8>(block);
  o[threadIdx.x] = cg::reduce(tile, (int)threadIdx.x, cg::plus<int>()) + tile.meta_group_rank() * 1000;
  if (threadIdx.x % 3 == 0) {
    auto active = cg::coalesced_threads();
    o[threadIdx.x] += active.size() * 100000;
  }
}
extern "C" __global__ void library(int* o, int* sorted) {
  using Reduce = cub::BlockReduce<int, 128>; using Scan = cub::BlockScan<int, 128>;
  using Sort = cub::BlockRadixSort<int, 128, 2>;
  __shared__ union { Reduce::TempStorage r; Scan::TempStorage s; Sort::TempStorage t; } storage;
  int v = o[threadIdx.x];
  int total = Reduce(storage.r).Sum(v);
  __syncthreads();
  int prefix;
  Scan(storage.s).InclusiveSum(v, prefix);
  __syncthreads();
  int keys[2] = {v, v * 7 % 101 - 50};
  Sort(storage.t).Sort(keys);
  sorted[threadIdx.x * 2] = keys[0]; sorted[threadIdx.x * 2 + 1] = keys[1];
  o[threadIdx.x] = prefix + (threadIdx.x == 0 ? total * 1000 : 0);
}
extern "C" __global__ void tensor_cores(const half* a, const half* b, float* c) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> fb;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
  wmma::fill_fragment(fc, 1.0f);
  wmma::load_matrix_sync(fa, a, 16);
  wmma::load_matrix_sync(fb, b, 16);
  wmma::mma_sync(fc, fa, fb, fc);
  wmma::store_matrix_sync(c, fc, 16, wmma::mem_row_major);
}
extern "C" __global__ void small_integers(const int* a, const int* b, int* c) {
  namespace small = wmma::experimental;
  wmma::fragment<wmma::accumulator, 8, 8, 32, int> sum;
  wmma::fragment<wmma::matrix_a, 8, 8, 32, small::precision::s4, wmma::row_major> x;
  wmma::fragment<wmma::matrix_b, 8, 8, 32, small::precision::s4, wmma::col_major> y;
  wmma::fill_fragment(sum, 3);
  wmma::load_matrix_sync(x, a, 64);
  wmma::load_matrix_sync(y, b, 32);
  wmma::mma_sync(sum, x, y, sum);
  wmma::store_matrix_sync(c, sum, 8, wmma::mem_row_major);
  wmma::fragment<wmma::accumulator, 8, 8, 128, int> ones;
  wmma::fragment<wmma::matrix_a, 8, 8, 128, small::precision::b1, wmma::row_major> p;
  wmma::fragment<wmma::matrix_b, 8, 8, 128, small::precision::b1, wmma::col_major> q;
  wmma::fill_fragment(ones, 0);
  wmma::load_matrix_sync(p, a, 128);
  wmma::load_matrix_sync(q, b, 128);
  wmma::bmma_sync(ones, p, q, ones, small::bmmaBitOpXOR, small::bmmaAccumulateOpPOPC);
  wmma::store_matrix_sync(c + 64, ones, 8, wmma::mem_col_major);
}
extern "C" __global__ void mma_with_ldmatrix(const half* a, const half* b, float* c) {
  // C (16 x 8) = A (16 x 16) B (16 x 8), A and B row-major.
  __shared__ __align__(16) half sa[16 * 16], sb[16 * 8];
  for (int i = threadIdx.x; i < 256; i += 32) sa[i] = a[i];
  for (int i = threadIdx.x; i < 128; i += 32) sb[i] = b[i];
  __syncwarp();
  unsigned ra[4], rb[2];
  unsigned pa = __cvta_generic_to_shared(&sa[(threadIdx.x % 16) * 16 + threadIdx.x / 16 * 8]);
  unsigned pb = __cvta_generic_to_shared(&sb[(threadIdx.x % 16) * 8]);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(ra[0]), "=r"(ra[1]), "=r"(ra[2]), "=r"(ra[3]) : "r"(pa));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(rb[0]), "=r"(rb[1]) : "r"(pb));
  float d[4] = {0, 0, 0, 0};
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]));
  int row = threadIdx.x / 4, col = threadIdx.x % 4 * 2;
  c[row * 8 + col] = d[0]; c[row * 8 + col + 1] = d[1];
  c[(row + 8) * 8 + col] = d[2]; c[(row + 8) * 8 + col + 1] = d[3];
}
extern "C" __global__ void halves(const half* x, half* y, half2* z) {
  int t = threadIdx.x;
  half a = x[t], b = x[t + 32];
  y[t] = __hfma(a, b, a);
  y[t + 32] = __hadd(a, b);
  y[t + 64] = __hmul(a, b);
  y[t + 96] = __hmax(a, b);
  z[t] = __hfma2(__halves2half2(a, b), __halves2half2(b, a), __float2half2_rn(0.5f));
}
extern "C" __global__ void narrow(const float* x, float* y) {
  int t = threadIdx.x;
  y[t] = __bfloat162float(__float2bfloat16(x[t]));
  y[t + 8] = (float)__nv_fp8_e4m3(x[t]);
  y[t + 16] = (float)__nv_fp8_e5m2(x[t]);
  y[t + 24] = __half2float(__float2half_rd(x[t]));
  y[t + 32] = __half2float(__float2half_ru(x[t]));
  y[t + 40] = __half2float(__float2half_rn(x[t]));
}
extern "C" __global__ void atomics(float* f, double* d, int* i, unsigned* u, __half2* h, unsigned long long* l) {
  atomicAdd(f, 0.5f); atomicAdd(d, 0.25); atomicAdd(i, 2); atomicSub(i + 1, 3);
  atomicMin(i + 2, (int)threadIdx.x - 5); atomicMax(i + 3, (int)threadIdx.x);
  atomicInc(u, 9); atomicDec(u + 1, 9); atomicOr(u + 2, 1u << (threadIdx.x & 31)); atomicXor(u + 3, threadIdx.x);
  atomicAnd(u + 4, ~(1u << (threadIdx.x & 7))); atomicExch(u + 5, 77u); atomicCAS(u + 6, 0u, 5u);
  atomicAdd(h, __floats2half2_rn(1.0f, 2.0f)); atomicAdd(l, 1ull << 33); atomicMax(l + 1, (unsigned long long)threadIdx.x << 40);
}
extern "C" __global__ void wide_atomics(float2* f2, float4* f4, __nv_bfloat162* b, __nv_bfloat16* b1, half* h, unsigned short* s, ulonglong2* w, int* o) {
  atomicAdd(f2, make_float2(1, 0.5f));
  float4 old = atomicAdd(f4, make_float4(1, 2, 3, 4));
  if (old.x == 20) o[0] = (int)(old.y + old.z + old.w);
  atomicAdd(b, __floats2bfloat162_rn(1.0f, 2.0f));
  atomicAdd(b1, __float2bfloat16(1.0f));
  atomicAdd(h, __float2half(1.0f));
  unsigned short seen = *s, before;
  do { before = seen; seen = atomicCAS(s, before, (unsigned short)(before + 3)); } while (seen != before);
  struct alignas(16) Wide { unsigned long long low, high; };
  Wide* p = (Wide*)w;
  Wide now = *p, then;
  do { then = now; now = atomicCAS(p, then, Wide{then.low + 1, then.high + 2}); } while (now.low != then.low || now.high != then.high);
  Wide last = atomicExch(p + 1, Wide{threadIdx.x, 5});
  atomicAdd(&o[1], (int)last.high);
}
extern "C" __global__ void exponentials(const float* x, float* y) {
  y[threadIdx.x] = exp2f(x[threadIdx.x]);
  y[threadIdx.x + 64] = expf(x[threadIdx.x]);
  y[threadIdx.x + 128] = __expf(x[threadIdx.x]);
  y[threadIdx.x + 192] = tanhf(x[threadIdx.x]);
  y[threadIdx.x + 256] = logf(fabsf(x[threadIdx.x]) + 0.1f);
  y[threadIdx.x + 320] = sinf(x[threadIdx.x]);
  y[threadIdx.x + 384] = powf(fabsf(x[threadIdx.x]), 1.7f);
  y[threadIdx.x + 448] = erff(x[threadIdx.x]);
}
)";

float of_half(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const float value = exponent == 0
                          ? std::ldexp(static_cast<float>(mantissa), -24)
                          : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (h & 0x8000) != 0 ? -value : value;
}

/// f16 values that are multiples of 1/8, so that small products and sums are exact.
std::vector<uint16_t> half_values(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint16_t> values(n);
  for (uint16_t& value : values) {
    const int k = static_cast<int>(random() % 33) - 16;
    value = 0;
    for (uint32_t bits = 0; bits < 0x8000; ++bits) {
      if (of_half(static_cast<uint16_t>(bits)) == static_cast<float>(std::abs(k)) / 8) {
        value = static_cast<uint16_t>(bits | (k < 0 ? 0x8000 : 0));
        break;
      }
    }
  }
  return values;
}

class Warps : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto ptx = rig::compile(kSource);
    if (!ptx) GTEST_SKIP() << "no nvcc on this machine";
    bench = std::make_unique<Bench>(*ptx);
  }
  std::unique_ptr<Bench> bench;
};

TEST_F(Warps, VoteMatchReduceAndShuffle) {
  bench->tensor("o", std::vector<uint32_t>(32));
  ASSERT_EQ(fault_of(bench->launch("votes", {1}, {32}, Pointer{"o"})), "");
  const auto o = bench->read<uint32_t>("o");
  uint32_t thirds = 0;
  for (uint32_t t = 0; t < 32; t += 3) thirds |= 1u << t;
  for (uint32_t t = 0; t < 32; ++t) {
    uint32_t r = thirds * 31 + 7;
    uint32_t same = 0;
    for (uint32_t k = 0; k < 32; ++k) same |= static_cast<uint32_t>(k % 5 == t % 5) << k;
    r = r * 31 + same;
    r = r * 31 + 0xffffffffu + 1;
    r = r * 31 + 496 + 3 + 0xffffffffu;
    r = r * 31 + (t < 3 ? t : t - 3) + (t % 16 + 5 < 16 ? t + 5 : t) + (t / 8 * 8 + 7);
    if (t % 2 == 1) r = r * 31 + 0xaaaa0000u + 1;
    ASSERT_EQ(o[t], r) << t;
  }
}

TEST_F(Warps, CooperativeGroups) {
  bench->tensor("o", std::vector<int>(32));
  ASSERT_EQ(fault_of(bench->launch("groups", {1}, {32}, Pointer{"o"})), "");
  const auto o = bench->read<int>("o");
  for (int t = 0; t < 32; ++t) {
    ASSERT_EQ(o[static_cast<size_t>(t)],
              t / 8 * 64 + 28 + t / 8 * 1000 + (t % 3 == 0 ? 11 * 100000 : 0));
  }
}

TEST_F(Warps, BlockAlgorithmsOfCub) {
  std::vector<int> x(128), keys;
  std::mt19937 random(3);
  for (int& value : x) value = static_cast<int>(random() % 1000) - 500;
  for (const int v : x) {
    keys.push_back(v);
    keys.push_back(v * 7 % 101 - 50);
  }
  std::sort(keys.begin(), keys.end());
  bench->tensor("o", x);
  bench->tensor("sorted", std::vector<int>(256));
  const RunReport report = bench->launch("library", {1}, {128}, Pointer{"o"}, Pointer{"sorted"});
  ASSERT_EQ(fault_of(report), "");
  EXPECT_TRUE(report.notes.empty());
  const auto o = bench->read<int>("o");
  int sum = 0, total = 0;
  for (const int v : x) total += v;
  for (size_t i = 0; i < 128; ++i) {
    sum += x[i];
    ASSERT_EQ(o[i], sum + (i == 0 ? total * 1000 : 0)) << i;
  }
  EXPECT_EQ(bench->read<int>("sorted"), keys);
}

TEST_F(Warps, TensorCoresThroughWmma) {
  const auto a = half_values(256, 1), b = half_values(256, 2);
  bench->tensor("a", a);
  bench->tensor("b", b);
  bench->tensor("c", std::vector<float>(256));
  ASSERT_EQ(
      fault_of(bench->launch("tensor_cores", {1}, {32}, Pointer{"a"}, Pointer{"b"}, Pointer{"c"})),
      "");
  const auto c = bench->read<float>("c");
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 16; ++j) {
      float want = 1;
      for (size_t k = 0; k < 16; ++k) want += of_half(a[i * 16 + k]) * of_half(b[j * 16 + k]);
      ASSERT_EQ(c[i * 16 + j], want) << i << " " << j;
    }
  }
}

TEST_F(Warps, TensorCoresWithElementsSmallerThanAByte) {
  std::mt19937 random(9);
  std::vector<uint32_t> a(64), b(64);
  for (uint32_t& word : a) word = static_cast<uint32_t>(random());
  for (uint32_t& word : b) word = static_cast<uint32_t>(random());
  bench->tensor("a", a);
  bench->tensor("b", b);
  bench->tensor("c", std::vector<int>(128));
  ASSERT_EQ(fault_of(bench->launch("small_integers", {1}, {32}, Pointer{"a"}, Pointer{"b"},
                                   Pointer{"c"})),
            "");
  const auto c = bench->read<int>("c");
  const auto s4 = [](const std::vector<uint32_t>& words, size_t at) {
    const auto bits = static_cast<int>(words[at / 8] >> (at % 8 * 4) & 15);
    return bits < 8 ? bits : bits - 16;
  };
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      int sum = 3, ones = 0;
      for (size_t k = 0; k < 32; ++k) sum += s4(a, i * 64 + k) * s4(b, j * 32 + k);
      for (size_t k = 0; k < 4; ++k) ones += std::popcount(a[i * 4 + k] ^ b[j * 4 + k]);
      ASSERT_EQ(c[i * 8 + j], sum) << i << " " << j;
      ASSERT_EQ(c[64 + j * 8 + i], ones) << i << " " << j;
    }
  }
}

TEST_F(Warps, TensorCoresThroughLdmatrixAndMma) {
  const auto a = half_values(256, 3), b = half_values(128, 4);
  bench->tensor("a", a);
  bench->tensor("b", b);
  bench->tensor("c", std::vector<float>(128));
  const RunReport report =
      bench->launch("mma_with_ldmatrix", {1}, {32}, Pointer{"a"}, Pointer{"b"}, Pointer{"c"});
  ASSERT_EQ(fault_of(report), "");
  EXPECT_EQ(report.launches[0].uninitialised_shared_reads, 0u);
  const auto c = bench->read<float>("c");
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      float want = 0;
      for (size_t k = 0; k < 16; ++k) want += of_half(a[i * 16 + k]) * of_half(b[k * 8 + j]);
      ASSERT_EQ(c[i * 8 + j], want) << i << " " << j;
    }
  }
}

TEST_F(Warps, HalfArithmetic) {
  const auto x = half_values(64, 5);
  bench->tensor("x", x);
  bench->tensor("y", std::vector<uint16_t>(128));
  bench->tensor("z", std::vector<uint16_t>(64));
  ASSERT_EQ(fault_of(bench->launch("halves", {1}, {32}, Pointer{"x"}, Pointer{"y"}, Pointer{"z"})),
            "");
  const auto y = bench->read<uint16_t>("y"), z = bench->read<uint16_t>("z");
  for (size_t t = 0; t < 32; ++t) {
    const float a = of_half(x[t]), b = of_half(x[t + 32]);
    ASSERT_EQ(of_half(y[t]), a * b + a);  // exact in f16
    ASSERT_EQ(of_half(y[t + 32]), a + b);
    ASSERT_EQ(of_half(y[t + 64]), a * b);
    ASSERT_EQ(of_half(y[t + 96]), std::max(a, b));
    ASSERT_EQ(of_half(z[2 * t]), a * b + 0.5f);
    ASSERT_EQ(of_half(z[2 * t + 1]), a * b + 0.5f);
  }
}

TEST_F(Warps, NarrowTypesRound) {
  // e4m3 has 3 bits of mantissa, e5m2 2, bf16 7 and f16 10; ties go to even.
  const std::vector<float> x{8.5f, 9.5f, -8.5f, 0.3f, 1000.0f, 1.00390625f, -2049.0f, 3.0f};
  bench->tensor("x", x);
  bench->tensor("y", std::vector<float>(48));
  ASSERT_EQ(fault_of(bench->launch("narrow", {1}, {8}, Pointer{"x"}, Pointer{"y"})), "");
  const std::vector<float> want{
      8.5f, 9.5f,  -8.5f, 0.30078125f,     1000.0f, 1.0f,        -2048.0f, 3.0f,  // bf16
      8.0f, 10.0f, -8.0f, 0.3125f,         448.0f,  1.0f,        -448.0f,  3.0f,  // e4m3, clamped
      8.0f, 10.0f, -8.0f, 0.3125f,         1024.0f, 1.0f,        -2048.0f, 3.0f,  // e5m2
      8.5f, 9.5f,  -8.5f, 0.2998046875f,   1000.0f, 1.00390625f, -2050.0f, 3.0f,  // f16, down
      8.5f, 9.5f,  -8.5f, 0.300048828125f, 1000.0f, 1.00390625f, -2048.0f, 3.0f,  // up
      8.5f, 9.5f,  -8.5f, 0.300048828125f, 1000.0f, 1.00390625f, -2048.0f, 3.0f,  // nearest
  };
  EXPECT_EQ(bench->read<float>("y"), want);
}

TEST_F(Warps, AtomicsOfAllKinds) {
  bench->tensor("f", std::vector<float>(1));
  bench->tensor("d", std::vector<double>(1));
  bench->tensor("i", std::vector<int>{0, 0, 100, 0});
  bench->tensor("u", std::vector<uint32_t>{0, 0, 0, 0, 0xffffffffu, 0, 0});
  bench->tensor("h", std::vector<uint16_t>(2));
  bench->tensor("l", std::vector<uint64_t>(2));
  ASSERT_EQ(fault_of(bench->launch("atomics", {2}, {50}, Pointer{"f"}, Pointer{"d"}, Pointer{"i"},
                                   Pointer{"u"}, Pointer{"h"}, Pointer{"l"})),
            "");
  EXPECT_EQ(bench->read<float>("f")[0], 50.0f);
  EXPECT_EQ(bench->read<double>("d")[0], 25.0);
  EXPECT_EQ(bench->read<int>("i"), (std::vector<int>{200, -300, -5, 49}));
  uint32_t parity = 0;  // every thread number occurs twice
  const auto u = bench->read<uint32_t>("u");
  EXPECT_EQ(u, (std::vector<uint32_t>{0, 0, 0xffffffffu, parity, 0xffffff00u, 77, 5}));
  const auto h = bench->read<uint16_t>("h");
  EXPECT_EQ(of_half(h[0]), 100.0f);
  EXPECT_EQ(of_half(h[1]), 200.0f);
  EXPECT_EQ(bench->read<uint64_t>("l"), (std::vector<uint64_t>{100ull << 33, 49ull << 40}));
}

TEST_F(Warps, AtomicsOfVectorsHalvesAndSixteenBytes) {
  bench->tensor("f2", std::vector<float>(2));
  bench->tensor("f4", std::vector<float>(8));
  bench->tensor("b", std::vector<uint16_t>(2));
  bench->tensor("b1", std::vector<uint16_t>(2));
  bench->tensor("h", std::vector<uint16_t>(2));
  bench->tensor("s", std::vector<uint16_t>(1));
  bench->tensor("w", std::vector<uint64_t>(4));
  bench->tensor("o", std::vector<int>(2));
  const auto launch = [&](int64_t offset) {
    return bench->launch("wide_atomics", {2}, {32}, Pointer{"f2"}, Pointer{"f4", offset},
                         Pointer{"b"}, Pointer{"b1"}, Pointer{"h"}, Pointer{"s"}, Pointer{"w"},
                         Pointer{"o"});
  };
  ASSERT_EQ(fault_of(launch(0)), "");
  EXPECT_EQ(bench->read<float>("f2"), (std::vector<float>{64, 32}));
  EXPECT_EQ(bench->read<float>("f4"), (std::vector<float>{64, 128, 192, 256, 0, 0, 0, 0}));
  EXPECT_EQ(bench->read<uint16_t>("b"), (std::vector<uint16_t>{0x4280, 0x4300}));  // 64, 128
  EXPECT_EQ(bench->read<uint16_t>("b1")[0], 0x4280);
  EXPECT_EQ(of_half(bench->read<uint16_t>("h")[0]), 64.0f);
  EXPECT_EQ(bench->read<uint16_t>("s")[0], 3 * 64);
  const auto w = bench->read<uint64_t>("w");
  EXPECT_EQ(w[0], 64u);
  EXPECT_EQ(w[1], 128u);
  EXPECT_EQ(w[3], 5u);
  const auto o = bench->read<int>("o");
  EXPECT_EQ(o[0], 20 * (2 + 3 + 4));
  EXPECT_EQ(o[1], 5 * 63);
  const RunReport report = launch(8);
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->kind, Fault::Kind::misaligned_address);
  EXPECT_NE(fault_of(report).find("writes 16 bytes at an address that is no multiple of 16"),
            std::string::npos)
      << fault_of(report);
}

TEST_F(Warps, ElementaryFunctionsAreClose) {
  std::vector<float> x(64);
  for (size_t i = 0; i < 64; ++i) x[i] = static_cast<float>(i) * 0.37f - 11;
  bench->tensor("x", x);
  bench->tensor("y", std::vector<float>(512));
  ASSERT_EQ(fault_of(bench->launch("exponentials", {1}, {64}, Pointer{"x"}, Pointer{"y"})), "");
  const auto y = bench->read<float>("y");
  const auto expect_near = [&](size_t at, double want, double relative) {
    ASSERT_NEAR(y[at], want, std::fabs(want) * relative + 1e-30) << at;
  };
  for (size_t i = 0; i < 64; ++i) {
    const double v = x[i];
    expect_near(i, std::exp2(v), 3e-7);
    expect_near(64 + i, std::exp(v), 3e-7);
    expect_near(128 + i, std::exp(v), 3e-6);
    expect_near(192 + i, std::tanh(v), 1e-6);
    ASSERT_NEAR(y[256 + i], std::log(std::fabs(v) + 0.1f), 1e-6);
    ASSERT_NEAR(y[320 + i], std::sin(v), 1e-6);
    expect_near(384 + i, std::pow(std::fabs(v), 1.7f), 2e-6);
    expect_near(448 + i, std::erf(v), 1e-6);
  }
}

}  // namespace
}  // namespace assay
