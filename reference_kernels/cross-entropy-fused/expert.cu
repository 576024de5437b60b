// Specialist: one block of 1024 threads a row. The first pass takes maximum and sums at once
// (Milakov and Gimelshein: Online normalizer calculation for softmax, 2018) and leaves the row in
// shared memory, as far as it fits; the second writes the gradient. What did not fit is read again
// while it is still in the L2 cache, since few rows are under way at a time. Accesses are 16 bytes
// a lane from the first multiple of 16 bytes in the row on; odd rows have a head and a tail of
// single elements.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kSharedPacks = 12544;  // 16 bytes each: 196 KiB
constexpr unsigned kAll = ~0u;
constexpr float kLog2e = 1.4426950408889634f;

__device__ void unpack(const uint4& pack, float (&values)[8]) {
  const unsigned words[4] = {pack.x, pack.y, pack.z, pack.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = __uint_as_float(words[i] << 16);
    values[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

/// Maximum, sum of exponentials relative to it, and plain sum.
struct Moments {
  float largest = -INFINITY, sum = 0, total = 0;

  __device__ void raise(float candidate) {
    if (candidate <= largest) return;
    sum *= exp2f((largest - candidate) * kLog2e);
    largest = candidate;
  }
  __device__ void add(float value) {
    raise(value);
    sum += exp2f((value - largest) * kLog2e);
    total += value;
  }
  __device__ void add(const float (&values)[8]) {
    float of_pack = values[0];
#pragma unroll
    for (int i = 1; i < 8; ++i) of_pack = fmaxf(of_pack, values[i]);
    raise(of_pack);
#pragma unroll
    for (const float value : values) {
      sum += exp2f((value - largest) * kLog2e);
      total += value;
    }
  }
  __device__ void join(const Moments& other) {
    const float of_both = fmaxf(largest, other.largest);
    const float base = of_both == -INFINITY ? 0.0f : of_both;
    sum =
        sum * exp2f((largest - base) * kLog2e) + other.sum * exp2f((other.largest - base) * kLog2e);
    largest = of_both;
    total += other.total;
  }
  __device__ void join_over_warp() {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      Moments other;
      other.largest = __shfl_xor_sync(kAll, largest, distance);
      other.sum = __shfl_xor_sync(kAll, sum, distance);
      other.total = __shfl_xor_sync(kAll, total, distance);
      join(other);
    }
  }
};

/// What the gradient of one row needs.
struct Gradient {
  float lse, factor, everywhere, at_target;
  int label;
  bool ignored;

  __device__ float at(float value, int v) const {
    const float softmax = exp2f((value - lse) * kLog2e);
    const float gradient = fmaf(softmax, factor, everywhere) + (v == label ? at_target : 0.0f);
    return ignored ? 0.0f : gradient;
  }
};

__global__ void __launch_bounds__(kThreads)
    cross_entropy(__nv_bfloat16* __restrict__ logits, const int* __restrict__ target,
                  float* __restrict__ losses, float* __restrict__ lses, int classes, int kept_packs,
                  float smooth, float zcoef, float inv_n) {
  extern __shared__ uint4 kept[];
  __shared__ Moments of_warp[kWarps];
  const int row = blockIdx.x, label = target[row];
  __nv_bfloat16* x = logits + static_cast<long long>(row) * classes;
  const int misplaced = static_cast<int>(reinterpret_cast<size_t>(x) % 16 / 2);
  const int head = min(classes, (8 - misplaced) % 8);
  const int packs = (classes - head) / 8;
  const int tail = head + packs * 8;  // first element after the packs
  uint4* body = reinterpret_cast<uint4*>(x + head);

  float single = 0;  // this thread's element of head or tail
  int single_at = -1;
  if (threadIdx.x < head) single_at = threadIdx.x;
  if (threadIdx.x >= 32 && tail + static_cast<int>(threadIdx.x) - 32 < classes)
    single_at = tail + threadIdx.x - 32;
  const float label_logit = label >= 0 ? __bfloat162float(x[label]) : 0.0f;

  Moments moments;
  if (single_at >= 0) {
    single = __bfloat162float(x[single_at]);
    moments.add(single);
  }
#pragma unroll 4
  for (int i = threadIdx.x; i < packs; i += kThreads) {
    const uint4 pack = body[i];
    if (i < kept_packs) kept[i] = pack;
    float values[8];
    unpack(pack, values);
    moments.add(values);
  }
  moments.join_over_warp();
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = moments;
  __syncthreads();
  moments = of_warp[threadIdx.x % kWarps];
  moments.join_over_warp();

  const float lse = moments.largest + logf(moments.sum);
  const Gradient gradient{lse,
                          inv_n * (1 + 2 * zcoef * lse),
                          -inv_n * smooth / classes,
                          -inv_n * (1 - smooth),
                          label,
                          label == -100};
  if (threadIdx.x == 0) {
    lses[row] = lse;
    losses[row] = gradient.ignored
                      ? 0.0f
                      : inv_n * ((1 - smooth) * (lse - label_logit) +
                                 smooth * (lse - moments.total / classes) + zcoef * lse * lse);
  }
  if (single_at >= 0) x[single_at] = __float2bfloat16(gradient.at(single, single_at));
#pragma unroll 2
  for (int i = threadIdx.x; i < packs; i += kThreads) {
    float values[8];
    unpack(i < kept_packs ? kept[i] : body[i], values);
#pragma unroll
    for (int e = 0; e < 8; ++e) values[e] = gradient.at(values[e], head + i * 8 + e);
    __stcs(body + i,
           make_uint4(rounded_pair(values[0], values[1]), rounded_pair(values[2], values[3]),
                      rounded_pair(values[4], values[5]), rounded_pair(values[6], values[7])));
  }
}

}  // namespace

extern "C" void solve(__nv_bfloat16* logits, const int* target, float* loss, float* lse, int rows,
                      int classes, float smooth, float zcoef, float inv_n, cudaStream_t stream) {
  const int kept_packs = min(classes / 8, kSharedPacks);
  const int shared_bytes = kept_packs * static_cast<int>(sizeof(uint4));
  cudaFuncSetAttribute(cross_entropy, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       kSharedPacks * static_cast<int>(sizeof(uint4)));
  cross_entropy<<<rows, kThreads, shared_bytes, stream>>>(logits, target, loss, lse, classes,
                                                          kept_packs, smooth, zcoef, inv_n);
}
