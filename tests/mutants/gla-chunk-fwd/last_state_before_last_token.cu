// task: gla-chunk-fwd
// expect: wrong_output
// reason: mismatch
// case: resets
// Stores the state before the last token.
#include <cuda_bf16.h>

constexpr int kMostKeys = 128;

__global__ void attention(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                          const float* g, const float* h0, __nv_bfloat16* o, float* ht, int length,
                          int heads, int keys, int values) {
  __shared__ float query[kMostKeys], key[kMostKeys], decay[kMostKeys];
  const int h = blockIdx.x, b = blockIdx.y, e = threadIdx.x;
  const long long first = (static_cast<long long>(b) * heads + h) * keys;
  const float scale = 1 / sqrtf(static_cast<float>(keys));
  float state[kMostKeys];
  for (int d = 0; d < keys; ++d) state[d] = h0[(first + d) * values + e];
  for (int t = 0; t < length; ++t) {
    const long long at = (static_cast<long long>(b) * length + t) * heads + h;
    __syncthreads();
    for (int d = threadIdx.x; d < keys; d += blockDim.x) {
      query[d] = __bfloat162float(q[at * keys + d]) * scale;
      key[d] = __bfloat162float(k[at * keys + d]);
      decay[d] = expf(g[at * keys + d]);
    }
    __syncthreads();
    const float value = __bfloat162float(v[at * values + e]);
    float sum = 0;
    for (int d = 0; d < keys; ++d) {
      if (t + 1 == length) ht[(first + d) * values + e] = state[d];
      state[d] = decay[d] * state[d] + key[d] * value;
      sum += query[d] * state[d];
    }
    o[at * values + e] = __float2bfloat16(sum);
  }
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const float* g, const float* h0, __nv_bfloat16* o, float* ht, int batch,
                      int length, int heads, int keys, int values, cudaStream_t stream) {
  attention<<<dim3(heads, batch), values, 0, stream>>>(q, k, v, g, h0, o, ht, length, heads, keys,
                                                       values);
}
