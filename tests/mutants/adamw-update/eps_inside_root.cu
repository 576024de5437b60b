// task: adamw-update
// expect: wrong_output
// reason: mismatch
// case: faint
// Adds eps under the root.
#include <cuda_bf16.h>

__global__ void adamw(float* p, float* m, float* v, const __nv_bfloat16* g, __nv_bfloat16* p16,
                      int n, float lr, float b1, float b2, float eps, float wd, float c1, float c2,
                      float gscale) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float h = gscale * __bfloat162float(g[i]);
  m[i] = b1 * m[i] + (1 - b1) * h;
  v[i] = b2 * v[i] + (1 - b2) * h * h;
  p[i] = p[i] - lr * (m[i] / c1 / (sqrtf(v[i] / c2 + eps)) + wd * p[i]);
  p16[i] = __float2bfloat16(p[i]);
}

extern "C" void solve(float* p, float* m, float* v, const __nv_bfloat16* g, __nv_bfloat16* p16,
                      int n, float lr, float b1, float b2, float eps, float wd, float c1, float c2,
                      float gscale, cudaStream_t stream) {
  adamw<<<(n + 255) / 256, 256, 0, stream>>>(p, m, v, g, p16, n, lr, b1, b2, eps, wd, c1, c2,
                                             gscale);
}
