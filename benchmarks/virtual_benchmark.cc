// How fast the virtual device executes: lane instructions per second of processor time on one
// thread, for an FMA loop, a matrix product tiled in shared memory and some everyday kernels; then
// how a launch of 2^31 - 1 blocks ends. Needs nvcc. Run by hand:
//
//   virtual_benchmark [kernel]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/files.h"
#include "evaluator/device/device.h"

namespace {

using namespace assay;

constexpr double kGoal = 300e6;  // lane instructions per second

constexpr const char* kSource = R"(
#include <cuda_fp16.h>
#include <mma.h>
extern "C" __global__ void fma_loop(const float* a, float* c, int n) {
  float x = a[threadIdx.x], y = 1.0f, z = 0.5f, w = 0.25f;
  for (int i = 0; i < n; ++i) {
#pragma unroll
    for (int k = 0; k < 8; ++k) { y = fmaf(y, x, 1.0f); z = fmaf(z, x, y); w = fmaf(w, x, z); }
  }
  c[blockIdx.x * blockDim.x + threadIdx.x] = y + z + w;
}
extern "C" __global__ void matmul(const float* a, float* c, int n) {
  __shared__ float as[16][16], bs[16][16];
  int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
  float sum = 0;
  for (int t = 0; t < n; t += 16) {
    as[threadIdx.y][threadIdx.x] = a[row * n + t + threadIdx.x];
    bs[threadIdx.y][threadIdx.x] = a[(t + threadIdx.y) * n + col];
    __syncthreads();
    for (int k = 0; k < 16; ++k) sum += as[threadIdx.y][k] * bs[k][threadIdx.x];
    __syncthreads();
  }
  c[row * n + col] = sum;
}
extern "C" __global__ void register_tiles(const float* a, float* c, int n) {
  __shared__ float as[8][64], bs[8][64];
  const float* b = a;
  float sum[4][4] = {};
  int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  for (int t = 0; t < n; t += 8) {
    for (int i = threadIdx.x; i < 512; i += 256) {
      as[i % 8][i / 8] = a[(blockIdx.y * 64 + i / 8) * n + t + i % 8];
      bs[i / 64][i % 64] = b[(t + i / 64) * n + blockIdx.x * 64 + i % 64];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      float4 x = *(float4*)&as[k][ty * 4], y = *(float4*)&bs[k][tx * 4];
      float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(xs[i], ys[j], sum[i][j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      c[(blockIdx.y * 64 + ty * 4 + i) * n + blockIdx.x * 64 + tx * 4 + j] = sum[i][j];
}
extern "C" __global__ void softmax(const float* a, float* c, int n) {
  __shared__ float red[32];
  const float* row = a + (size_t)blockIdx.x * n;
  float m = -INFINITY;
  for (int i = threadIdx.x; i < n; i += blockDim.x) m = fmaxf(m, row[i]);
  for (int o = 16; o > 0; o >>= 1) m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, o));
  if (threadIdx.x % 32 == 0) red[threadIdx.x / 32] = m;
  __syncthreads();
  for (int w = 0; w < blockDim.x / 32; ++w) m = fmaxf(m, red[w]);
  __syncthreads();
  float s = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) s += expf(row[i] - m);
  for (int o = 16; o > 0; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
  if (threadIdx.x % 32 == 0) red[threadIdx.x / 32] = s;
  __syncthreads();
  s = 0;
  for (int w = 0; w < blockDim.x / 32; ++w) s += red[w];
  for (int i = threadIdx.x; i < n; i += blockDim.x) c[(size_t)blockIdx.x * n + i] = expf(row[i] - m) / s;
}
extern "C" __global__ void divergent(const float* a, float* c, int n) {
  int x = blockIdx.x * blockDim.x + threadIdx.x, steps = 0;
  unsigned v = x % 1000 + 1;
  while (v != 1 && steps < n) { v = v & 1 ? 3 * v + 1 : v / 2; ++steps; }
  c[x] = steps;
}
extern "C" __global__ void histogram(const float* a, float* c, int n) {
  __shared__ int bins[64];
  if (threadIdx.x < 64) bins[threadIdx.x] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x) atomicAdd(&bins[(int)(a[i] * 64) & 63], 1);
  __syncthreads();
  if (threadIdx.x < 64) atomicAdd((int*)c + threadIdx.x, bins[threadIdx.x]);
}
extern "C" __global__ void tensor_cores(const float* a, float* c, int n) {
  using namespace nvcuda;
  __shared__ __align__(16) half as[64 * 16], bs[16 * 64];
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> x;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> y;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum[4];
  int warp = threadIdx.x / 32;
  for (int j = 0; j < 4; ++j) wmma::fill_fragment(sum[j], 0.0f);
  for (int t = 0; t < n; t += 16) {
    for (int i = threadIdx.x; i < 1024; i += 128) {
      as[i] = __float2half(a[(blockIdx.y * 64 + i / 16) * n + t + i % 16]);
      bs[i] = __float2half(a[(t + i / 64) * n + blockIdx.x * 64 + i % 64]);
    }
    __syncthreads();
    wmma::load_matrix_sync(x, as + warp * 256, 16);
    for (int j = 0; j < 4; ++j) {
      wmma::load_matrix_sync(y, bs + 16 * j, 64);
      wmma::mma_sync(sum[j], x, y, sum[j]);
    }
    __syncthreads();
  }
  for (int j = 0; j < 4; ++j)
    wmma::store_matrix_sync(c + (blockIdx.y * 64 + warp * 16) * n + blockIdx.x * 64 + 16 * j, sum[j], n, wmma::mem_row_major);
}
extern "C" __global__ void nothing(const float* a, float* c, int n) {}
)";

std::string compiled() {
  auto folder = TemporaryFolder::create("assay-benchmark");
  if (!folder.ok()) return {};
  const std::string base = (folder->path() / "kernel").string();
  if (!write_file(base + ".cu", kSource).ok()) return {};
  const std::string command = "nvcc -ptx -arch=sm_90 -lineinfo " + base + ".cu -o " + base + ".ptx";
  if (std::system(command.c_str()) != 0) return {};
  return read_file(base + ".ptx").value();
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Job {
  const char* kernel;
  Dim3 grid, block;
  int n;
  bool has_goal;
};

RunReport run(Device& device, PreparedPlan& plan, RunOptions options) {
  auto report = device.run(plan, options);
  return report.ok() ? *report : RunReport{};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string ptx = compiled();
  if (ptx.empty()) {
    fmt::print("no nvcc on this machine, nothing measured\n");
    return 0;
  }
  const auto device = make_virtual_device("sm_90", 1);
  Artifact artifact;
  artifact.ptx = ptx;
  auto module = device->load(artifact);
  if (!module.ok()) {
    fmt::print("{}\n", module.error().message);
    return 1;
  }
  const uint64_t bytes = 4u << 20;
  const Buffer buffers[] = {*device->allocate(bytes, "a"), *device->allocate(bytes, "c")};
  std::vector<float> values(bytes / 4);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 997) / 997.0f;
  if (!device->upload(buffers[0], std::as_bytes(std::span(values))).ok()) return 1;

  const auto plan_for = [&](const Job& job) {
    Launch launch;
    launch.kernel = job.kernel;
    launch.grid = job.grid;
    launch.block = job.block;
    launch.parameters.assign(16, '\0');
    launch.parameters.append(reinterpret_cast<const char*>(&job.n), 4);
    launch.relocations = {{0, {0, 0}}, {8, {1, 0}}};
    LaunchPlan plan;
    plan.allocations = {{Allocation::Kind::argument, 0, "", bytes},
                        {Allocation::Kind::argument, 1, "", bytes}};
    plan.operations = {{launch, {}, 0}};
    return device->prepare(**module, plan, buffers);
  };

  const Job jobs[] = {
      {"fma_loop", {8}, {256}, 500, true},          {"matmul", {16, 16}, {16, 16}, 256, true},
      {"register_tiles", {4, 4}, {256}, 256, true}, {"softmax", {64}, {256}, 4096, false},
      {"divergent", {256}, {256}, 200, false},      {"histogram", {4}, {256}, 100000, false},
      {"tensor_cores", {4, 4}, {128}, 256, false},
  };
  fmt::print("{} ({})\n{:<16}{:>10}{:>14}{:>12}{:>12}{:>12}\n", device->info().name,
             device->info().driver, "kernel", "schedule", "lane instr.", "cpu ms", "M/s",
             "goal M/s");
  for (const Job& job : jobs) {
    if (argc > 1 && std::string(argv[1]) != job.kernel) continue;
    auto plan = plan_for(job);
    if (!plan.ok()) return 1;
    for (const uint32_t seed : {0u, 1u}) {  // 0: with the tracking of shared memory
      RunOptions options;
      options.schedule_seed = seed;
      run(*device, **plan, options);
      const double begin = cpu_seconds();
      const RunReport report = run(*device, **plan, options);
      const double seconds = cpu_seconds() - begin;
      if (report.fault) fmt::print("{}\n", report.fault->explanation);
      if (report.launches.empty()) continue;
      const auto lanes = static_cast<double>(report.launches[0].lane_instructions);
      fmt::print("{:<16}{:>10}{:>14.0f}{:>12.2f}{:>12.0f}{:>12}\n", job.kernel, seed, lanes,
                 seconds * 1e3, lanes / seconds / 1e6,
                 job.has_goal ? fmt::format("{:.0f}", kGoal / 1e6) : "");
    }
  }
  if (argc > 1) return 0;
  auto plan = plan_for({"nothing", {2147483647}, {256}, 0, false});
  if (!plan.ok()) return 1;
  RunOptions options;
  options.instruction_budget = 2'000'000'000;
  const auto begin = std::chrono::steady_clock::now();
  const RunReport report = run(*device, **plan, options);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  fmt::print("a grid of 2^31 - 1 empty blocks, budget of 2e9: {:.1f} s, {}\n", wall.count(),
             report.fault ? report.fault->explanation : "ended");
  return 0;
}
