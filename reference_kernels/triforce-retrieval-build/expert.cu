// Specialist: keys that are ordered like the scores, written once with rows side by side; a radix
// select by histograms in shared memory and one ordered pass; copies of 16 bytes.
#include <cuda_fp16.h>

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

/// A score as a number above 0 in the same order; the first chunk above all.
__device__ unsigned key_of(float score, int chunk) {
  const unsigned bits = __float_as_uint(score + 0.0f);  // -0 becomes 0
  return chunk == 0 ? ~0u : bits >> 31 ? ~bits : bits | 1u << 31;
}

/// Eight lanes a chunk and head, 16 bytes of a row each at a time; neighbouring groups of lanes have
/// neighbouring heads, so that a block reads whole rows.
__global__ void score(const uint4* __restrict__ q, const uint4* __restrict__ k,
                      unsigned* __restrict__ keys, int heads, int parts, int chunk, int chunks) {
  const long long group =
      (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / 8;
  const bool inside = group < static_cast<long long>(chunks) * heads;
  const int h = static_cast<int>(group % heads), lane = threadIdx.x % 8;
  const long long j = inside ? group / heads : 0;
  float sum = 0;
  for (int part = lane; part < parts; part += 8) {
    const uint4 query = __ldg(q + h * parts + part);
    const __half2* a = reinterpret_cast<const __half2*>(&query);
#pragma unroll 8
    for (int r = 0; r < chunk; ++r) {
      const uint4 key = __ldcs(k + ((j * chunk + r) * heads + h) * parts + part);
      const __half2* b = reinterpret_cast<const __half2*>(&key);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 x = __half22float2(a[i]), y = __half22float2(b[i]);
        sum += x.x * y.x + x.y * y.y;
      }
    }
  }
  sum += __shfl_xor_sync(~0u, sum, 1);
  sum += __shfl_xor_sync(~0u, sum, 2);
  sum += __shfl_xor_sync(~0u, sum, 4);
  if (inside && lane == 0) keys[static_cast<long long>(h) * chunks + j] = key_of(sum, static_cast<int>(j));
}

/// A thread a part of 16 bytes of the result.
__global__ void gather(const uint4* __restrict__ k, const uint4* __restrict__ v,
                       const int* __restrict__ sel, uint4* __restrict__ kr, uint4* __restrict__ vr,
                       int rows, int heads, int parts, int chunk, int most) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= rows * heads * parts) return;
  const int part = index % parts, h = index / parts % heads, row = index / parts / heads;
  const long long from_row = static_cast<long long>(__ldg(sel + h * most + row / chunk)) * chunk + row % chunk;
  const long long from = (from_row * heads + h) * parts + part;
  __stcs(kr + index, __ldg(k + from));
  __stcs(vr + index, __ldcs(v + from));
}

}  // namespace

extern "C" void solve(const __half* q, const __half* k, const __half* v, int* sel, __half* kr,
                      __half* vr, int length, int heads, int dim, int chunk, int most,
                      cudaStream_t stream) {
  const int chunks = length / chunk;
  unsigned* keys = nullptr;
  int* counts = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&keys),
                  sizeof(unsigned) * static_cast<size_t>(heads) * chunks, stream);
  cudaMallocAsync(reinterpret_cast<void**>(&counts), sizeof(int) * heads, stream);
  const int parts = dim / 8, rows = most * chunk;
  const long long lanes = 8ll * chunks * heads;
  score<<<static_cast<unsigned>((lanes + 255) / 256), 256, 0, stream>>>(
      reinterpret_cast<const uint4*>(q), reinterpret_cast<const uint4*>(k), keys, heads, parts,
      chunk, chunks);
  select<<<heads, kSelectThreads, 0, stream>>>(keys, sel, counts, chunks, most);
  gather<<<(rows * heads * parts + 255) / 256, 256, 0, stream>>>(
      reinterpret_cast<const uint4*>(k), reinterpret_cast<const uint4*>(v), sel,
      reinterpret_cast<uint4*>(kr), reinterpret_cast<uint4*>(vr), rows, heads, parts, chunk, most);
  cudaFreeAsync(counts, stream);
  cudaFreeAsync(keys, stream);
}
