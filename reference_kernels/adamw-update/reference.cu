// Oracle: one thread a weight, in double.
#include <cuda_bf16.h>

__global__ void adamw(float* p, float* m, float* v, const __nv_bfloat16* g, __nv_bfloat16* p16,
                      int n, double lr, double b1, double b2, double eps, double wd, double c1,
                      double c2, double gscale) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const double h = gscale * __bfloat162float(g[i]);
  const double first = b1 * m[i] + (1 - b1) * h;
  const double second = b2 * v[i] + (1 - b2) * h * h;
  const double weight = p[i] - lr * (first / c1 / (sqrt(second / c2) + eps) + wd * p[i]);
  m[i] = static_cast<float>(first);
  v[i] = static_cast<float>(second);
  p[i] = static_cast<float>(weight);
  p16[i] = __double2bfloat16(weight);
}

extern "C" void solve(float* p, float* m, float* v, const __nv_bfloat16* g, __nv_bfloat16* p16,
                      int n, float lr, float b1, float b2, float eps, float wd, float c1, float c2,
                      float gscale, cudaStream_t stream) {
  adamw<<<(n + 127) / 128, 128, 0, stream>>>(p, m, v, g, p16, n, lr, b1, b2, eps, wd, c1, c2,
                                             gscale);
}
