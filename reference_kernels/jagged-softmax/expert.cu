// Specialist: a block takes a strip of columns of one segment and keeps it in registers: a thread
// owns one pack of columns (16 bytes where the width allows it) and every n-th row, so that x is
// read and y is written once, in pieces of at least 32 bytes. Threads of the same columns combine
// by shuffles and then through shared memory. How many rows a thread can keep follows from the
// average length of the segments; longer segments are read twice, with a running maximum, which the
// caches soften.
namespace {

constexpr unsigned kAll = ~0u;
constexpr float kLog2e = 1.4426950408889634f;

template <int kWidth>
struct alignas(4 * kWidth) Pack {
  float of[kWidth];
};

struct Maximum {
  static __device__ float join(float a, float b) { return fmaxf(a, b); }
};
struct Sum {
  static __device__ float join(float a, float b) { return a + b; }
};

/// kStrip: packs of columns side by side; kLanes: rows side by side; kRows: rows a thread keeps.
template <int kWidth, int kStrip, int kLanes, int kRows>
struct Shape {
  static constexpr int kThreads = kStrip * kLanes;
  static constexpr int kWarps = kThreads / 32;

  /// Combines the packs of all threads of the same columns; each gets the result.
  template <typename Operation>
  static __device__ Pack<kWidth> reduce(Pack<kWidth> pack) {
    __shared__ Pack<kWidth> of_warp[kWarps][kStrip];
#pragma unroll
    for (int distance = 16; distance >= kStrip; distance /= 2)
#pragma unroll
      for (float& value : pack.of)
        value = Operation::join(value, __shfl_xor_sync(kAll, value, distance));
    __syncthreads();  // the values of the reduction before this one have been read
    if (threadIdx.x % 32 < kStrip) of_warp[threadIdx.x / 32][threadIdx.x % 32] = pack;
    __syncthreads();
    pack = of_warp[0][threadIdx.x % kStrip];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp)
#pragma unroll
      for (int e = 0; e < kWidth; ++e)
        pack.of[e] = Operation::join(pack.of[e], of_warp[warp][threadIdx.x % kStrip].of[e]);
    return pack;
  }
};

/// `packs`: of a row.
template <typename S, int kWidth, int kStrip, int kLanes, int kRows>
__device__ void keep_in_registers(const Pack<kWidth>* __restrict__ x, Pack<kWidth>* __restrict__ y,
                                  int packs, int length, bool inside) {
  const int lane = threadIdx.x / kStrip;
  Pack<kWidth> values[kRows], largest;
#pragma unroll
  for (float& value : largest.of) value = -INFINITY;
#pragma unroll
  for (int k = 0; k < kRows; ++k) {
    const long long row = lane + k * kLanes;
    if (inside && row < length) {
      values[k] = x[row * packs];
    } else {
#pragma unroll
      for (float& value : values[k].of) value = -INFINITY;
    }
  }
#pragma unroll
  for (int k = 0; k < kRows; ++k)
#pragma unroll
    for (int e = 0; e < kWidth; ++e) largest.of[e] = fmaxf(largest.of[e], values[k].of[e]);
  largest = S::template reduce<Maximum>(largest);

  Pack<kWidth> sum{};
#pragma unroll
  for (int k = 0; k < kRows; ++k)
#pragma unroll
    for (int e = 0; e < kWidth; ++e) {
      values[k].of[e] = exp2f((values[k].of[e] - largest.of[e]) * kLog2e);
      sum.of[e] += lane + k * kLanes < length ? values[k].of[e] : 0.0f;
    }
  sum = S::template reduce<Sum>(sum);
#pragma unroll
  for (float& value : sum.of) value = 1.0f / value;
#pragma unroll
  for (int k = 0; k < kRows; ++k) {
    const long long row = lane + k * kLanes;
    if (!inside || row >= length) continue;
#pragma unroll
    for (int e = 0; e < kWidth; ++e) values[k].of[e] *= sum.of[e];
    y[row * packs] = values[k];
  }
}

template <typename S, int kWidth, int kStrip, int kLanes>
__device__ void read_twice(const Pack<kWidth>* __restrict__ x, Pack<kWidth>* __restrict__ y,
                           int packs, int length, bool inside) {
  const int lane = threadIdx.x / kStrip;
  Pack<kWidth> largest, sum{};
#pragma unroll
  for (float& value : largest.of) value = -INFINITY;
  for (long long row = lane; inside && row < length; row += kLanes) {
    const Pack<kWidth> values = x[row * packs];
#pragma unroll
    for (int e = 0; e < kWidth; ++e) {
      if (values.of[e] > largest.of[e]) {
        sum.of[e] *= exp2f((largest.of[e] - values.of[e]) * kLog2e);
        largest.of[e] = values.of[e];
      }
      sum.of[e] += exp2f((values.of[e] - largest.of[e]) * kLog2e);
    }
  }
  const Pack<kWidth> overall = S::template reduce<Maximum>(largest);
#pragma unroll
  for (int e = 0; e < kWidth; ++e)
    sum.of[e] *= sum.of[e] > 0 ? exp2f((largest.of[e] - overall.of[e]) * kLog2e) : 0.0f;
  sum = S::template reduce<Sum>(sum);
#pragma unroll
  for (float& value : sum.of) value = 1.0f / value;
  for (long long row = lane; inside && row < length; row += kLanes) {
    Pack<kWidth> values = x[row * packs];
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
      values.of[e] = exp2f((values.of[e] - overall.of[e]) * kLog2e) * sum.of[e];
    y[row * packs] = values;
  }
}

template <int kWidth, int kStrip, int kLanes, int kRows>
__global__ void __launch_bounds__(kStrip* kLanes)
    softmax(const float* __restrict__ x, const int* __restrict__ offsets, float* __restrict__ y,
            int packs, int strips) {
  using S = Shape<kWidth, kStrip, kLanes, kRows>;
  const int segment = blockIdx.x / strips;
  const int column = blockIdx.x % strips * kStrip + threadIdx.x % kStrip;  // in packs
  const int begin = offsets[segment], length = offsets[segment + 1] - begin;
  if (length == 0) return;
  const long long start = static_cast<long long>(begin) * packs + column;
  const auto* from = reinterpret_cast<const Pack<kWidth>*>(x) + start;
  auto* to = reinterpret_cast<Pack<kWidth>*>(y) + start;
  if (length <= kLanes * kRows)
    keep_in_registers<S, kWidth, kStrip, kLanes, kRows>(from, to, packs, length, column < packs);
  else
    read_twice<S, kWidth, kStrip, kLanes>(from, to, packs, length, column < packs);
}

template <int kWidth, int kStrip, int kLanes, int kRows>
void launch(const float* x, const int* offsets, float* y, int segments, int cols,
            cudaStream_t stream) {
  const int packs = cols / kWidth, strips = (packs - 1) / kStrip + 1;
  softmax<kWidth, kStrip, kLanes, kRows>
      <<<segments * strips, kStrip * kLanes, 0, stream>>>(x, offsets, y, packs, strips);
}

/// Lengths are taken to lie between 0 and twice their average, for the most part.
template <int kWidth>
void choose(const float* x, const int* offsets, float* y, int segments, int total, int cols,
            cudaStream_t stream) {
  const int average = total / segments;
  if (average <= 16)
    launch<kWidth, 8, 8, 4>(x, offsets, y, segments, cols, stream);
  else if (average <= 64)
    launch<kWidth, 8, 16, 8>(x, offsets, y, segments, cols, stream);
  else
    launch<kWidth, 4, 64, 16>(x, offsets, y, segments, cols, stream);
}

}  // namespace

extern "C" void solve(const float* x, const int* offsets, float* y, int segments, int total,
                      int cols, cudaStream_t stream) {
  if (cols % 4 == 0)
    choose<4>(x, offsets, y, segments, total, cols, stream);
  else
    choose<1>(x, offsets, y, segments, total, cols, stream);
}
