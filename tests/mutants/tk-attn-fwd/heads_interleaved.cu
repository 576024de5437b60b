// task: tk-attn-fwd
// expect: wrong_output
// reason: mismatch
// case: ragged
// Query heads take key heads in turn.
#include <cuda_bf16.h>

constexpr int kWarps = 4;
constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

__global__ void attention(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                          __nv_bfloat16* o, float* lse, int heads, int kv_heads, int length,
                          int dim, int causal) {
  const int i = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  const int h = blockIdx.y, b = blockIdx.z;
  if (i >= length) return;
  const long long row = (static_cast<long long>(b) * heads + h) * length + i;
  const long long kv = (static_cast<long long>(b) * kv_heads + h % kv_heads) * length;
  const float scale = 1 / sqrtf(static_cast<float>(dim));
  float query[kPerLane] = {}, output[kPerLane] = {}, largest = -INFINITY, sum = 0;
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < dim) query[e] = __bfloat162float(q[row * dim + lane + 32 * e]);
  const int count = causal ? i + 1 : length;
  for (int j = 0; j < count; ++j) {
    const long long at = (kv + j) * dim + lane;
    float score = 0;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < dim) score += query[e] * __bfloat162float(k[at + 32 * e]);
    for (int distance = 16; distance > 0; distance /= 2)
      score += __shfl_xor_sync(~0u, score, distance);
    score *= scale;
    const float now = fmaxf(largest, score);
    const float shrink = expf(largest - now), weight = expf(score - now);
    largest = now;
    sum = sum * shrink + weight;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < dim)
        output[e] = output[e] * shrink + weight * __bfloat162float(v[at + 32 * e]);
  }
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < dim) o[row * dim + lane + 32 * e] = __float2bfloat16(output[e] / sum);
  if (lane == 0) lse[row] = largest + logf(sum);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      __nv_bfloat16* o, float* lse, int batch, int heads, int kv_heads, int length,
                      int dim, int causal, cudaStream_t stream) {
  attention<<<dim3((length + kWarps - 1) / kWarps, heads, batch), 32 * kWarps, 0, stream>>>(
      q, k, v, o, lse, heads, kv_heads, length, dim, causal);
}
