// task: gla-recurrent-step
// expect: wrong_output
// reason: mismatch
// Multiplies by g instead of exp(g).
#include <cuda_bf16.h>

__global__ void step(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                     const float* g, float* h, __nv_bfloat16* o, int keys, int values,
                     float scale) {
  const long long head = blockIdx.x;
  for (int e = threadIdx.x; e < values; e += blockDim.x) {
    const float value = __bfloat162float(v[head * values + e]);
    float sum = 0;
    for (int d = 0; d < keys; ++d) {
      const long long row = head * keys + d;
      const float state = g[row] * h[row * values + e] + __bfloat162float(k[row]) * value;
      h[row * values + e] = state;
      sum += __bfloat162float(q[row]) * state;
    }
    o[head * values + e] = __float2bfloat16(scale * sum);
  }
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const float* g, float* h, __nv_bfloat16* o, int batch, int heads, int keys,
                      int values, float scale, cudaStream_t stream) {
  step<<<batch * heads, 128, 0, stream>>>(q, k, v, g, h, o, keys, values, scale);
}
