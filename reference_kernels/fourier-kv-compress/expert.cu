// Specialist: a product on tensor cores, [cosines; sines] times channels, whose left side is made
// on the way. A first kernel tables cosine and sine of all phases in f16. A block has 64 orders,
// hence 128 rows, and 128 channels; per step of 32 tokens a thread looks up 8 phases of one order,
// each the last plus the order, modulo the window, while the step's channels arrive in registers.
// Long sums are cut until the machine is full, and parts are added atomically. Bound by tensor
// cores.
#include <cuda_fp16.h>

namespace {

constexpr int kThreads = 256;
constexpr int kOrders = 64;     // of a block: rows 0-63 cosines, 64-127 sines
constexpr int kChannels = 128;  // of a block
constexpr int kTokens = 32;     // of a step
constexpr int kRun = 8;         // consecutive tokens whose phases one thread looks up

__device__ void load_matrices(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
__device__ void load_matrices_transposed(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

struct Problem {
  const __half* __restrict__ x;
  float* __restrict__ coef;
  const __half2* __restrict__ table;  // [window]: cosine and sine of 2 pi i / window
  int length, channels, orders, window, start;
  int splits, steps_of_split;
};

__global__ void tabulate(__half2* table, int window) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= window) return;
  float sine, cosine;
  sincospif(static_cast<float>(2 * i) / static_cast<float>(window), &sine, &cosine);
  table[i] = __floats2half2_rn(cosine, sine);
}

/// Eight channels of a token, zeros where there are none.
template <bool kAligned>
__device__ uint4 load_channels(const Problem& p, const __half* x, int token, int channel) {
  const __half* from = x + static_cast<long long>(token) * p.channels + channel;
  if (token >= p.length || channel >= p.channels) return make_uint4(0, 0, 0, 0);
  if constexpr (kAligned) return __ldg(reinterpret_cast<const uint4*>(from));
  __align__(16) __half values[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) values[i] = channel + i < p.channels ? from[i] : __half(0.0f);
  return *reinterpret_cast<const uint4*>(values);
}

/// The phases of one order at this thread's tokens, step after step.
struct Phases {
  unsigned phase, order, skip, window;

  __device__ Phases(const Problem& p, int n, int token) {
    window = static_cast<unsigned>(p.window);
    order = static_cast<unsigned>(n) % window;
    phase = order * static_cast<unsigned>(token) % window;
    skip = order * (kTokens - kRun) % window;
  }
  __device__ void advance(unsigned by) {
    phase += by;
    if (phase >= window) phase -= window;
  }
  /// Cosines and sines of kRun tokens; then goes on to the next step.
  __device__ void look_up(const __half2* table, uint4& cosines, uint4& sines) {
    __align__(16) __half2 of_cosines[kRun / 2], of_sines[kRun / 2];
#pragma unroll
    for (int i = 0; i < kRun / 2; ++i) {
      const __half2 first = __ldg(table + phase);
      advance(order);
      const __half2 second = __ldg(table + phase);
      advance(order);
      of_cosines[i] = __lows2half2(first, second);
      of_sines[i] = __highs2half2(first, second);
    }
    advance(skip);
    cosines = *reinterpret_cast<const uint4*>(of_cosines);
    sines = *reinterpret_cast<const uint4*>(of_sines);
  }
};

/// Where 16-byte chunks lie, permuted against bank conflicts.
__device__ unsigned angle_offset(int row, int chunk) {
  return static_cast<unsigned>(row * 4 + (chunk ^ (row / 2 % 4))) * 16;
}
__device__ unsigned channel_offset(int row, int chunk) {
  return static_cast<unsigned>(row * 16 + (chunk ^ (row % 8))) * 16;
}

template <bool kAligned>
__global__ void __launch_bounds__(kThreads) transform(const Problem p) {
  __shared__ __align__(128) unsigned char angles[2 * kOrders * kTokens * 2];
  __shared__ __align__(128) unsigned char tokens[kTokens * kChannels * 2];
  const unsigned angle_base = static_cast<unsigned>(__cvta_generic_to_shared(angles));
  const unsigned token_base = static_cast<unsigned>(__cvta_generic_to_shared(tokens));
  const int b = blockIdx.z / p.splits, split = blockIdx.z % p.splits;
  const int first_order = blockIdx.y * kOrders, first_channel = blockIdx.x * kChannels;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 4 * 64, warp_column = warp % 4 * 32;
  const int steps = (p.length + kTokens - 1) / kTokens;
  const int begin = split * p.steps_of_split, end = min(begin + p.steps_of_split, steps);
  const __half* x = p.x + static_cast<long long>(b) * p.length * p.channels;
  const int order = threadIdx.x / 4, run = threadIdx.x % 4;
  Phases phases(p, first_order + order, p.start + begin * kTokens + run * kRun);
  const int row = threadIdx.x / 16, chunk = threadIdx.x % 16;  // and row + 16
  uint4 next[2];
  const auto load = [&](int step) {
#pragma unroll
    for (int i = 0; i < 2; ++i)
      next[i] =
          load_channels<kAligned>(p, x, step * kTokens + row + 16 * i, first_channel + chunk * 8);
  };
  float sums[4][4][4] = {};
  load(begin);
  for (int step = begin; step < end; ++step) {
    uint4 cosines, sines;
    phases.look_up(p.table, cosines, sines);
    *reinterpret_cast<uint4*>(angles + angle_offset(order, run)) = cosines;
    *reinterpret_cast<uint4*>(angles + angle_offset(kOrders + order, run)) = sines;
#pragma unroll
    for (int i = 0; i < 2; ++i)
      *reinterpret_cast<uint4*>(tokens + channel_offset(row + 16 * i, chunk)) = next[i];
    __syncthreads();
    if (step + 1 < end) load(step + 1);
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
      unsigned a[4][4];
#pragma unroll
      for (int m = 0; m < 4; ++m)
        load_matrices(a[m],
                      angle_base + angle_offset(warp_row + m * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        unsigned of_channels[4];
        load_matrices_transposed(
            of_channels,
            token_base + channel_offset(k * 16 + lane % 16, warp_column / 8 + n * 2 + lane / 16));
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          multiply_add(sums[m][2 * n], a[m], of_channels[0], of_channels[1]);
          multiply_add(sums[m][2 * n + 1], a[m], of_channels[2], of_channels[3]);
        }
      }
    }
    __syncthreads();  // both tiles may be filled again
  }
  const long long part = static_cast<long long>(b) * 2 + warp / 4;  // cosines or sines
#pragma unroll
  for (int m = 0; m < 4; ++m)
#pragma unroll
    for (int n = 0; n < 4; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int of_order = first_order + m * 16 + lane / 4 + e / 2 * 8;
        const int channel = first_channel + warp_column + n * 8 + lane % 4 * 2 + e % 2;
        if (of_order >= p.orders || channel >= p.channels) continue;
        float* to = p.coef + (part * p.orders + of_order) * p.channels + channel;
        if (p.splits == 1)
          *to = sums[m][n][e];
        else
          atomicAdd(to, sums[m][n][e]);
      }
}

}  // namespace

extern "C" void solve(const __half* x, float* coef, int batch, int length, int channels, int orders,
                      int window, int start, cudaStream_t stream) {
  __half2* table;
  cudaMallocAsync(reinterpret_cast<void**>(&table), sizeof(__half2) * window, stream);
  tabulate<<<(window + kThreads - 1) / kThreads, kThreads, 0, stream>>>(table, window);
  const int columns = (channels + kChannels - 1) / kChannels;
  const int rows = (orders + kOrders - 1) / kOrders;
  const int steps = (length + kTokens - 1) / kTokens;
  const int most_splits = max(528 / (columns * rows * batch), 1);
  const int steps_of_split = max((steps + most_splits - 1) / most_splits, min(steps, 32));
  const int splits = (steps + steps_of_split - 1) / steps_of_split;
  const Problem p{x, coef, table, length, channels, orders, window, start, splits, steps_of_split};
  if (splits > 1) cudaMemsetAsync(coef, 0, sizeof(float) * 2 * batch * orders * channels, stream);
  const dim3 grid(columns, rows, batch * splits);
  if (channels % 8 == 0)
    transform<true><<<grid, kThreads, 0, stream>>>(p);
  else
    transform<false><<<grid, kThreads, 0, stream>>>(p);
  cudaFreeAsync(table, stream);
}
