// Textbook: one warp a query, one pair of keys at a time, with a running maximum.
#include <cuda_bf16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

struct Problem {
  const __nv_bfloat16 *q, *k1, *k2, *v1, *v2;
  __nv_bfloat16* o;
  float* lse;
  int length, heads, kv_heads, dim, window1, window2;
};

__global__ void attention(const Problem p) {
  const int i = blockIdx.x, h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x;
  const int m = h / (p.heads / p.kv_heads);
  const long long token = static_cast<long long>(b) * p.length;
  const long long own = ((token + i) * p.heads + h) * p.dim;
  const float scale = 1 / sqrt(static_cast<float>(p.dim));
  float output[kPerLane] = {}, largest = -INFINITY, weights = 0;
  for (int j = max(0, i - p.window1 + 1); j <= i; ++j) {
    const long long row1 = ((token + j) * p.kv_heads + m) * p.dim;
    float query[kPerLane] = {}, value[kPerLane] = {};
    for (int e = 0, d = lane; d < p.dim; ++e, d += 32) {
      query[e] =
          static_cast<float>(__bfloat162float(p.q[own + d])) * __bfloat162float(p.k1[row1 + d]);
      value[e] = __bfloat162float(p.v1[row1 + d]);
    }
    for (int k = max(0, i - p.window2 + 1); k <= i; ++k) {
      const long long row2 = ((token + k) * p.kv_heads + m) * p.dim;
      float score = 0;
      for (int e = 0, d = lane; d < p.dim; ++e, d += 32)
        score += query[e] * __bfloat162float(p.k2[row2 + d]);
      for (int distance = 16; distance > 0; distance /= 2)
        score += __shfl_xor_sync(~0u, score, distance);
      score *= scale;
      const float now = max(largest, score);
      const float shrink = exp(largest - now), weight = exp(score - now);
      largest = now;
      weights = weights * shrink + weight;
      for (int e = 0, d = lane; d < p.dim; ++e, d += 32)
        output[e] = output[e] * shrink + weight * value[e] * __bfloat162float(p.v2[row2 + d]);
    }
  }
  for (int e = 0, d = lane; d < p.dim; ++e, d += 32)
    p.o[own + d] = __float2bfloat16(output[e] / weights);
  if (lane == 0)
    p.lse[(static_cast<long long>(b) * p.heads + h) * p.length + i] =
        static_cast<float>(largest + log(weights));
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k1, const __nv_bfloat16* k2,
                      const __nv_bfloat16* v1, const __nv_bfloat16* v2, __nv_bfloat16* o,
                      float* lse, int batch, int length, int heads, int kv_heads, int dim,
                      int window1, int window2, cudaStream_t stream) {
  const Problem p{q, k1, k2, v1, v2, o, lse, length, heads, kv_heads, dim, window1, window2};
  attention<<<dim3(length, heads, batch), 32, 0, stream>>>(p);
}
