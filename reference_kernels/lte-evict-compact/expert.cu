// Specialist: keys that are ordered like the scores, written once with rows side by side; a radix
// select by histograms in shared memory and one ordered pass; copies of 16 bytes.
#include <cuda_bf16.h>

namespace {

constexpr int kSelectThreads = 512;

/// How many earlier threads of the block, and how many of all, say yes.
__device__ int2 yes_before(bool yes) {
  __shared__ int parts[kSelectThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const unsigned votes = __ballot_sync(~0u, yes);
  if (lane == 0) parts[warp] = __popc(votes);
  __syncthreads();
  int2 sums = make_int2(__popc(votes & ((1u << lane) - 1)), 0);
#pragma unroll
  for (int w = 0; w < kSelectThreads / 32; ++w) {
    if (w < warp) sums.x += parts[w];
    sums.y += parts[w];
  }
  __syncthreads();
  return sums;
}

/// The chosen entries of a row, ascending: those with the `most` largest keys above 0, the earlier
/// first where keys are equal. One block a row: four digits of 8 bits by histograms in shared
/// memory, then one ordered pass with ballots.
__global__ void __launch_bounds__(kSelectThreads)
    select(const unsigned* __restrict__ keys, int* __restrict__ chosen, int* __restrict__ counts,
           int count, int most) {
  __shared__ int histogram[256];
  __shared__ unsigned shared_prefix;
  __shared__ int shared_wanted;
  const unsigned* row = keys + static_cast<long long>(blockIdx.x) * count;
  unsigned prefix = 0;
  int wanted = most;  // of the keys that begin with the prefix
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int d = threadIdx.x; d < 256; d += kSelectThreads) histogram[d] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += kSelectThreads) {
      const unsigned key = row[i];
      if (shift == 24 || key >> (shift + 8) == prefix) atomicAdd(histogram + (key >> shift & 255), 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int digit = 255, left = wanted;
      while (digit > 0 && histogram[digit] < left) left -= histogram[digit--];
      shared_prefix = prefix << 8 | digit;
      shared_wanted = left;
    }
    __syncthreads();
    prefix = shared_prefix;
    wanted = shared_wanted;
  }
  int taken = 0, equal = 0;
  for (int start = 0; start < count; start += kSelectThreads) {
    const int i = start + threadIdx.x;
    const unsigned key = i < count ? row[i] : 0;
    const bool tie = key != 0 && key == prefix;
    const int2 ties = yes_before(tie);
    const bool take = key != 0 && (key > prefix || (tie && equal + ties.x < wanted));
    const int2 places = yes_before(take);
    if (take) chosen[static_cast<long long>(blockIdx.x) * most + taken + places.x] = i;
    taken += places.y;
    equal += ties.y;
    if (taken >= most) break;
  }
  if (threadIdx.x == 0) counts[blockIdx.x] = taken;
}

constexpr int kTileTokens = 1024;

/// Keys of the tokens outside the window: scores above 0 as they are, sinks above all, 0 for others.
/// A block reads a run of tokens with all their heads and writes it head by head.
__global__ void make_keys(const float* __restrict__ score, unsigned* __restrict__ keys, int length,
                          int heads, int candidates, int sink) {
  extern __shared__ unsigned staged[];  // [heads][tokens + 1]
  const int b = blockIdx.y, tokens = kTileTokens / heads > 0 ? kTileTokens / heads : 1;
  const int first = blockIdx.x * tokens, here = min(tokens, candidates - first);
  const float* source = score + (static_cast<long long>(b) * length + first) * heads;
  for (int i = threadIdx.x; i < here * heads; i += blockDim.x) {
    const float own = __ldcs(source + i);
    staged[i % heads * (tokens + 1) + i / heads] =
        first + i / heads < sink ? ~0u : own > 0 ? __float_as_uint(own) : 0;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < here * heads; i += blockDim.x) {
    const int h = i / here, t = i % here;
    keys[(static_cast<long long>(b) * heads + h) * candidates + first + t] =
        staged[h * (tokens + 1) + t];
  }
}

/// A thread a part of 16 bytes of a slot of the result.
__global__ void gather(const uint4* __restrict__ k, const uint4* __restrict__ v,
                       const int* __restrict__ chosen, const int* __restrict__ counts,
                       int* __restrict__ idx, uint4* __restrict__ kc, uint4* __restrict__ vc,
                       int length, int heads, int parts, int most) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x, b = blockIdx.y;
  if (index >= most * heads * parts) return;
  const int part = index % parts, h = index / parts % heads, m = index / parts / heads;
  const long long row = static_cast<long long>(b) * heads + h;
  const bool filled = m < __ldg(counts + row);
  const int t = filled ? __ldg(chosen + row * most + m) : length;
  if (part == 0) idx[row * most + m] = t;
  const long long from = ((static_cast<long long>(b) * length + t) * heads + h) * parts + part;
  const long long to = static_cast<long long>(b) * most * heads * parts + index;
  __stcs(kc + to, filled ? __ldcs(k + from) : make_uint4(0, 0, 0, 0));
  __stcs(vc + to, filled ? __ldcs(v + from) : make_uint4(0, 0, 0, 0));
}

}  // namespace

extern "C" void solve(const float* score, const __nv_bfloat16* k, const __nv_bfloat16* v, int* idx,
                      int* cnt, __nv_bfloat16* kc, __nv_bfloat16* vc, int batch, int length,
                      int heads, int dim, int window, int most, int sink, cudaStream_t stream) {
  const int candidates = length > window ? length - window : 0, rows = batch * heads;
  unsigned* keys = nullptr;
  int* chosen = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&keys),
                  sizeof(unsigned) * static_cast<size_t>(rows) * (candidates + 1), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&chosen),
                  sizeof(int) * static_cast<size_t>(rows) * most, stream);
  const int tokens = kTileTokens / heads > 0 ? kTileTokens / heads : 1, parts = dim / 8;
  if (candidates > 0)
    make_keys<<<dim3((candidates + tokens - 1) / tokens, batch), 256,
                sizeof(unsigned) * heads * (tokens + 1), stream>>>(score, keys, length, heads,
                                                                   candidates, sink);
  select<<<rows, kSelectThreads, 0, stream>>>(keys, chosen, cnt, candidates, most);
  gather<<<dim3((most * heads * parts + 255) / 256, batch), 256, 0, stream>>>(
      reinterpret_cast<const uint4*>(k), reinterpret_cast<const uint4*>(v), chosen, cnt, idx,
      reinterpret_cast<uint4*>(kc), reinterpret_cast<uint4*>(vc), length, heads, parts, most);
  cudaFreeAsync(chosen, stream);
  cudaFreeAsync(keys, stream);
}
