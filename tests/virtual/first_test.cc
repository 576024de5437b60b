// The kernels that everything else begins with, from CUDA C++ to results.
#include <cmath>
#include <random>

#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

const char* const kSource = R"(
extern "C" __global__ void vector_add(const float* a, const float* b, float* c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
extern "C" __global__ void softmax(const float* x, float* y, int cols) {
  __shared__ float red[32];
  const float* row = x + (size_t)blockIdx.x * cols;
  float m = -INFINITY;
  for (int i = threadIdx.x; i < cols; i += blockDim.x) m = fmaxf(m, row[i]);
  for (int o = 16; o > 0; o >>= 1) m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, o));
  if (threadIdx.x % 32 == 0) red[threadIdx.x / 32] = m;
  __syncthreads();
  m = red[0];
  for (int w = 1; w < blockDim.x / 32; ++w) m = fmaxf(m, red[w]);
  __syncthreads();
  float s = 0;
  for (int i = threadIdx.x; i < cols; i += blockDim.x) s += expf(row[i] - m);
  for (int o = 16; o > 0; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
  if (threadIdx.x % 32 == 0) red[threadIdx.x / 32] = s;
  __syncthreads();
  s = 0;
  for (int w = 0; w < blockDim.x / 32; ++w) s += red[w];
  for (int i = threadIdx.x; i < cols; i += blockDim.x)
    y[(size_t)blockIdx.x * cols + i] = expf(row[i] - m) / s;
}
extern "C" __global__ void matmul(const float* a, const float* b, float* c, int n) {
  __shared__ float as[16][16], bs[16][16];
  int r = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
  float sum = 0;
  for (int t = 0; t < n; t += 16) {
    as[threadIdx.y][threadIdx.x] = r < n && t + threadIdx.x < n ? a[r * n + t + threadIdx.x] : 0;
    bs[threadIdx.y][threadIdx.x] = col < n && t + threadIdx.y < n ? b[(t + threadIdx.y) * n + col] : 0;
    __syncthreads();
    for (int k = 0; k < 16; ++k) sum += as[threadIdx.y][k] * bs[k][threadIdx.x];
    __syncthreads();
  }
  if (r < n && col < n) c[r * n + col] = sum;
}
extern "C" __global__ void histogram(const int* x, int* bins, int n) {
  __shared__ int local[64];
  for (int i = threadIdx.x; i < 64; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&local[x[i] & 63], 1);
  __syncthreads();
  for (int i = threadIdx.x; i < 64; i += blockDim.x) atomicAdd(&bins[i], local[i]);
}
)";

std::vector<float> random_floats(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(FirstKernels, AddsVectors) {
  ASSAY_REQUIRE_PTX(ptx, kSource);
  Bench bench(ptx, 2);
  const auto a = random_floats(1000, 1), b = random_floats(1000, 2);
  bench.tensor("a", a);
  bench.tensor("b", b);
  bench.tensor("c", std::vector<float>(1000));
  const RunReport report =
      bench.launch("vector_add", {8}, {128}, Pointer{"a"}, Pointer{"b"}, Pointer{"c"}, 1000);
  ASSERT_EQ(fault_of(report), "");
  const auto c = bench.read<float>("c");
  for (size_t i = 0; i < c.size(); ++i) ASSERT_EQ(c[i], a[i] + b[i]) << i;
  ASSERT_EQ(report.launches.size(), 1u);
  EXPECT_EQ(report.launches[0].global_load_sectors, 250u);  // 2 x 4000 bytes
  EXPECT_EQ(report.launches[0].global_store_sectors, 125u);
}

TEST(FirstKernels, ComputesSoftmaxRows) {
  ASSAY_REQUIRE_PTX(ptx, kSource);
  for (const uint32_t seed : {0u, 1u, 7u}) {
    Bench bench(ptx, 2);
    bench.options.schedule_seed = seed;
    const int rows = 5, cols = 333;
    const auto x = random_floats(rows * cols, 3);
    bench.tensor("x", x);
    bench.tensor("y", std::vector<float>(x.size()));
    const RunReport report =
        bench.launch("softmax", {rows}, {128}, Pointer{"x"}, Pointer{"y"}, cols);
    ASSERT_EQ(fault_of(report), "");
    EXPECT_TRUE(report.notes.empty());
    const auto y = bench.read<float>("y");
    for (int r = 0; r < rows; ++r) {
      double sum = 0;
      for (int i = 0; i < cols; ++i) sum += std::exp(double{x[r * cols + i]});
      for (int i = 0; i < cols; ++i) {
        ASSERT_NEAR(y[r * cols + i], std::exp(double{x[r * cols + i]}) / sum, 1e-7);
      }
    }
  }
}

TEST(FirstKernels, MultipliesMatricesOfOddSize) {
  ASSAY_REQUIRE_PTX(ptx, kSource);
  Bench bench(ptx, 2);
  const int n = 45;
  const auto a = random_floats(n * n, 4), b = random_floats(n * n, 5);
  bench.tensor("a", a);
  bench.tensor("b", b);
  bench.tensor("c", std::vector<float>(a.size()));
  const RunReport report =
      bench.launch("matmul", {3, 3}, {16, 16}, Pointer{"a"}, Pointer{"b"}, Pointer{"c"}, n);
  ASSERT_EQ(fault_of(report), "");
  EXPECT_EQ(report.launches[0].uninitialised_shared_reads, 0u);
  const auto c = bench.read<float>("c");
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      double want = 0;
      for (int k = 0; k < n; ++k) want += double{a[i * n + k]} * b[k * n + j];
      ASSERT_NEAR(c[i * n + j], want, 1e-4);
    }
  }
}

TEST(FirstKernels, CountsAHistogramWithAtomics) {
  ASSAY_REQUIRE_PTX(ptx, kSource);
  Bench bench(ptx, 2);
  std::mt19937 random(6);
  std::vector<int> x(10000), want(64);
  for (int& value : x) ++want[static_cast<size_t>(value = static_cast<int>(random() & 63))];
  bench.tensor("x", x);
  bench.tensor("bins", std::vector<int>(64));
  const RunReport report =
      bench.launch("histogram", {6}, {256}, Pointer{"x"}, Pointer{"bins"}, 10000);
  ASSERT_EQ(fault_of(report), "");
  EXPECT_TRUE(report.notes.empty());
  EXPECT_EQ(bench.read<int>("bins"), want);
}

TEST(FirstKernels, SaysWhereAKernelReadsPastTheEnd) {
  ASSAY_REQUIRE_PTX(ptx, kSource);
  Bench bench(ptx, 2);
  bench.tensor("a", std::vector<float>(1000));
  bench.tensor("b", std::vector<float>(1000));
  bench.tensor("c", std::vector<float>(1001));
  const RunReport report =
      bench.launch("vector_add", {8}, {128}, Pointer{"a"}, Pointer{"b"}, Pointer{"c"}, 1001);
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->kind, Fault::Kind::illegal_address);
  EXPECT_EQ(report.fault->source_line, 4u);
  EXPECT_EQ(
      report.fault->explanation,
      "kernel vector_add, block (7,0,0), thread (104,0,0), line 4: reads 4 bytes directly past "
      "the end of tensor b (4000 bytes) (instruction ld.global.f32)");
}

}  // namespace
}  // namespace assay
