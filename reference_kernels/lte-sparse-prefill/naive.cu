// Textbook: one warp a query, one key at a time, with a running maximum.
#include <cuda_bf16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

struct Problem {
  const __nv_bfloat16 *q, *k, *v, *kp, *vp;
  const int *idx, *cnt;
  __nv_bfloat16* o;
  float* lse;
  int length, heads, kv_heads, dim, window, kept;

  __device__ int group(int h) const { return h / (heads / kv_heads); }
  __device__ const __nv_bfloat16* query(int b, int h, int i) const {
    return q + ((static_cast<long long>(b) * length + i) * heads + h) * dim;
  }
  __device__ __nv_bfloat16* output(int b, int h, int i) const {
    return o + ((static_cast<long long>(b) * length + i) * heads + h) * dim;
  }
  /// The retained tokens come first, then those of the window.
  __device__ int retained(int b, int h) const { return cnt[b * kv_heads + group(h)]; }
  __device__ int first_of_window(int i) const { return max(0, i - window + 1); }
  __device__ int count(int b, int h, int i) const {
    return retained(b, h) + i - first_of_window(i) + 1;
  }
  __device__ bool allowed(int b, int h, int i, int j) const {
    return j >= retained(b, h) ||
           idx[(static_cast<long long>(b) * kv_heads + group(h)) * kept + j] <= i - window;
  }
  __device__ const __nv_bfloat16* row(const __nv_bfloat16* all, const __nv_bfloat16* copies, int b,
                                      int h, int i, int j) const {
    const int of_window = j - retained(b, h);
    if (of_window < 0)
      return copies + ((static_cast<long long>(b) * kept + j) * kv_heads + group(h)) * dim;
    const long long token = static_cast<long long>(b) * length + first_of_window(i) + of_window;
    return all + (token * kv_heads + group(h)) * dim;
  }
  __device__ const __nv_bfloat16* key(int b, int h, int i, int j) const {
    return row(k, kp, b, h, i, j);
  }
  __device__ const __nv_bfloat16* value(int b, int h, int i, int j) const {
    return row(v, vp, b, h, i, j);
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
  if (lane == 0)
    p.lse[(static_cast<long long>(b) * p.heads + h) * p.length + i] = largest + logf(weights);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const __nv_bfloat16* kp, const __nv_bfloat16* vp, const int* idx,
                      const int* cnt, __nv_bfloat16* o, float* lse, int batch, int length,
                      int heads, int kv_heads, int dim, int window, int kept, cudaStream_t stream) {
  const Problem p{q, k, v, kp, vp, idx, cnt, o, lse, length, heads, kv_heads, dim, window, kept};
  attention<<<dim3(length, heads, batch), 32, 0, stream>>>(p);
}
