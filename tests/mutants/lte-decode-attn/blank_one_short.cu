// task: lte-decode-attn
// expect: wrong_output
// reason: mismatch
// case: ragged
// Takes the last blank slot.
#include <cuda_bf16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

struct Problem {
  const __nv_bfloat16 *q, *kc, *vc;
  const int *past_len, *blank_start, *blank_len;
  __nv_bfloat16* o;
  int heads, kv_heads, dim, window, kept;

  __device__ const __nv_bfloat16* query(int b, int h, int) const {
    return q + (static_cast<long long>(b) * heads + h) * dim;
  }
  __device__ __nv_bfloat16* output(int b, int h, int) const {
    return o + (static_cast<long long>(b) * heads + h) * dim;
  }
  __device__ int count(int, int, int) const { return window + kept; }
  __device__ bool allowed(int b, int h, int, int slot) const {
    if (slot >= window) return slot - window < past_len[b * kv_heads + h / (heads / kv_heads)];
    return slot < blank_start[b] || slot >= blank_start[b] + blank_len[b] - 1;
  }
  __device__ long long row(int b, int h, int slot) const {
    const long long at = static_cast<long long>(b) * (window + kept) + slot;
    return (at * kv_heads + h / (heads / kv_heads)) * dim;
  }
  __device__ const __nv_bfloat16* key(int b, int h, int, int slot) const {
    return kc + row(b, h, slot);
  }
  __device__ const __nv_bfloat16* value(int b, int h, int, int slot) const {
    return vc + row(b, h, slot);
  }
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
      if (lane + 32 * e < p.dim)
        output[e] = output[e] * shrink + weight * __bfloat162float(value[32 * e]);
  }
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim)
      p.output(b, h, i)[lane + 32 * e] = __float2bfloat16(output[e] / weights);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* kc, const __nv_bfloat16* vc,
                      const int* past_len, const int* blank_start, const int* blank_len,
                      __nv_bfloat16* o, int batch, int heads, int kv_heads, int dim, int window,
                      int kept, cudaStream_t stream) {
  const Problem p{q, kc,    vc,       past_len, blank_start, blank_len,
                  o, heads, kv_heads, dim,      window,      kept};
  attention<<<dim3(1, heads, batch), 32, 0, stream>>>(p);
}
