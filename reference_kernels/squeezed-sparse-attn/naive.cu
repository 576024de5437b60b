// Textbook: one warp a query, one key at a time, from the partial result on, with a running
// maximum.
#include <cuda_bf16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

struct Problem {
  const __nv_bfloat16 *q, *k, *v;
  const int *kidx, *klen;
  const float *o0, *m0, *l0;
  __nv_bfloat16* o;
  int queries, dim, length, most;

  __device__ const __nv_bfloat16* query(int, int h, int i) const {
    return q + (static_cast<long long>(h) * queries + i) * dim;
  }
  __device__ __nv_bfloat16* output(int, int h, int i) const {
    return o + (static_cast<long long>(h) * queries + i) * dim;
  }
  __device__ int count(int, int h, int) const { return klen[h]; }
  __device__ bool allowed(int, int, int, int) const { return true; }
  __device__ long long row(int h, int j) const {
    return (static_cast<long long>(h) * length + kidx[static_cast<long long>(h) * most + j]) * dim;
  }
  __device__ const __nv_bfloat16* key(int, int h, int, int j) const { return k + row(h, j); }
  __device__ const __nv_bfloat16* value(int, int h, int, int j) const { return v + row(h, j); }
};

__global__ void attention(const Problem p) {
  const int i = blockIdx.x, h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x;
  const __nv_bfloat16* q = p.query(b, h, i);
  const float scale = 1 / sqrtf(static_cast<float>(p.dim));
  float query[kPerLane] = {}, output[kPerLane] = {}, largest = -INFINITY, weights = 0;
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim) query[e] = __bfloat162float(q[lane + 32 * e]);
  const long long first = static_cast<long long>(h) * p.queries + i;
  largest = p.m0[first];
  weights = p.l0[first];
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim) output[e] = weights * p.o0[first * p.dim + lane + 32 * e];
  const int count = p.count(b, h, i);
  for (int j = 0; j < count; ++j) {
    if (!p.allowed(b, h, i, j)) continue;
    const __nv_bfloat16 *key = p.key(b, h, i, j) + lane, *value = p.value(b, h, i, j) + lane;
    float score = 0;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < p.dim) score += query[e] * __bfloat162float(key[32 * e]);
    for (int distance = 16; distance > 0; distance /= 2)
      score += __shfl_xor_sync(~0u, score, distance);
    score *= scale;
    const float now = fmaxf(largest, score);
    const float shrink = expf(largest - now), weight = expf(score - now);
    largest = now;
    weights = weights * shrink + weight;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < p.dim)
        output[e] = output[e] * shrink + weight * __bfloat162float(value[32 * e]);
  }
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim)
      p.output(b, h, i)[lane + 32 * e] = __float2bfloat16(output[e] / weights);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* kidx, const int* klen, const float* o0, const float* m0,
                      const float* l0, __nv_bfloat16* o, int heads, int queries, int dim,
                      int length, int most, cudaStream_t stream) {
  const Problem p{q, k, v, kidx, klen, o0, m0, l0, o, queries, dim, length, most};
  attention<<<dim3(queries, heads, 1), 32, 0, stream>>>(p);
}
