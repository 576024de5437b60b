// task: louiskv-gather-attn
// expect: wrong_output
// reason: mismatch
// case: ragged
// Keeps old sums when the maximum rises.
#include <cuda_bf16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

struct Problem {
  const __nv_bfloat16 *q, *k, *v;
  const int *list, *nsel, *seqlen;
  __nv_bfloat16* o;
  int length, heads, kv_heads, dim, budget, sinks, local;

  __device__ const __nv_bfloat16* query(int b, int h, int) const {
    return q + (static_cast<long long>(b) * heads + h) * dim;
  }
  __device__ __nv_bfloat16* output(int b, int h, int) const {
    return o + (static_cast<long long>(b) * heads + h) * dim;
  }
  __device__ int count(int b, int h, int) const {
    if (seqlen[b] <= sinks + local) return seqlen[b];
    return sinks + nsel[b * kv_heads + h / (heads / kv_heads)] + local;
  }
  __device__ bool allowed(int, int, int, int) const { return true; }
  __device__ int token(int b, int head, int t) const {
    if (seqlen[b] <= sinks + local || t < sinks) return t;
    const int selected = nsel[b * kv_heads + head];
    if (t < sinks + selected) return list[(b * kv_heads + head) * budget + t - sinks];
    return seqlen[b] - local + t - sinks - selected;
  }
  __device__ long long row(int b, int h, int t) const {
    const int head = h / (heads / kv_heads);
    return ((static_cast<long long>(b) * length + token(b, head, t)) * kv_heads + head) * dim;
  }
  __device__ const __nv_bfloat16* key(int b, int h, int, int t) const { return k + row(b, h, t); }
  __device__ const __nv_bfloat16* value(int b, int h, int, int t) const { return v + row(b, h, t); }
};

__global__ void attention(const Problem p) {
  const int i = blockIdx.x, h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x;
  const __nv_bfloat16* q = p.query(b, h, i);
  const float scale = 1 / sqrtf(static_cast<float>(p.dim));
  float query[kPerLane] = {}, output[kPerLane] = {}, largest = -INFINITY, weights = 0;
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim) query[e] = __bfloat162float(q[lane + 32 * e]);
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
      if (lane + 32 * e < p.dim) output[e] = output[e] + weight * __bfloat162float(value[32 * e]);
  }
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim)
      p.output(b, h, i)[lane + 32 * e] = __float2bfloat16(output[e] / weights);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* list, const int* nsel, const int* seqlen, __nv_bfloat16* o,
                      int batch, int length, int heads, int kv_heads, int dim, int budget,
                      int sinks, int local, cudaStream_t stream) {
  const Problem p{q,      k,     v,        list, nsel,   seqlen, o,
                  length, heads, kv_heads, dim,  budget, sinks,  local};
  attention<<<dim3(1, heads, batch), 32, 0, stream>>>(p);
}
