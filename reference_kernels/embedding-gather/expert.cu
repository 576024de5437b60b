// Specialist: a group of lanes, no more than a row has vectors, takes two tokens at once and
// several vectors of each, all in flight together: the fewer bytes a vector holds, the more of
// them. Rows move 16, 4 or 2 bytes a lane, as their width allows. y is written past the cache,
// which is left to rows that are used again.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 256;
constexpr int kTokens = 2;  // per group of lanes

__device__ unsigned scaled_pair(unsigned pair, float scale) {
  const __nv_bfloat162 product = __floats2bfloat162_rn(scale * __uint_as_float(pair << 16),
                                                       scale * __uint_as_float(pair & 0xffff0000u));
  return *reinterpret_cast<const unsigned*>(&product);
}
__device__ uint4 scaled(uint4 v, float scale) {
  return make_uint4(scaled_pair(v.x, scale), scaled_pair(v.y, scale), scaled_pair(v.z, scale),
                    scaled_pair(v.w, scale));
}
__device__ unsigned scaled(unsigned v, float scale) { return scaled_pair(v, scale); }
__device__ unsigned short scaled(unsigned short v, float scale) {
  return static_cast<unsigned short>(scaled_pair(v, scale));
}

/// `kBatch`: vectors of a row in flight. `lanes`: a power of two up to 32. `width`: of a row, in
/// Vectors.
template <typename Vector, int kBatch>
__global__ void __launch_bounds__(kThreads)
    gather(const Vector* __restrict__ table, const int* __restrict__ index, Vector* __restrict__ y,
           int width, int tokens, int lanes, float scale) {
  const int groups = kThreads / lanes;
  const int lane = threadIdx.x % lanes;
  const long long first =
      static_cast<long long>(blockIdx.x) * (groups * kTokens) + threadIdx.x / lanes;

  long long source[kTokens];
#pragma unroll
  for (int t = 0; t < kTokens; ++t)
    source[t] = first + t * groups < tokens ? __ldg(index + first + t * groups) : -1;

  for (int start = lane; start < width; start += lanes * kBatch) {
    Vector values[kTokens][kBatch];
#pragma unroll
    for (int t = 0; t < kTokens; ++t)
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (const int c = start + i * lanes; c < width && source[t] >= 0)
          values[t][i] = __ldg(table + source[t] * width + c);
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const long long target = first + t * groups;
      if (target >= tokens) break;
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (const int c = start + i * lanes; c < width)
          __stcs(y + target * width + c, source[t] >= 0 ? scaled(values[t][i], scale) : Vector{});
    }
  }
}

template <typename Vector, int kBatch>
void launch(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y, int cols, int tokens,
            float scale, cudaStream_t stream) {
  const int width = cols / static_cast<int>(sizeof(Vector) / sizeof(__nv_bfloat16));
  int lanes = 1;
  while (lanes < 32 && lanes < width) lanes *= 2;
  const int per_block = kThreads / lanes * kTokens;
  gather<Vector, kBatch><<<(tokens - 1) / per_block + 1, kThreads, 0, stream>>>(
      reinterpret_cast<const Vector*>(table), index, reinterpret_cast<Vector*>(y), width, tokens,
      lanes, scale);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y,
                      int /*vocabulary*/, int cols, int tokens, float scale, cudaStream_t stream) {
  if (cols % 8 == 0)
    launch<uint4, 2>(table, index, y, cols, tokens, scale, stream);
  else if (cols % 2 == 0)
    launch<unsigned, 7>(table, index, y, cols, tokens, scale, stream);
  else
    launch<unsigned short, 8>(table, index, y, cols, tokens, scale, stream);
}
