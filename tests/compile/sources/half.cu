// 16-bit and 8-bit floating point types in kernels and on the host.
#include <cuda_runtime.h>
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cfloat>
#include <cmath>
__global__ void halves(const __half* x, __nv_bfloat16* y, const __nv_fp8_e4m3* z, __half2 pair,
                       int n) {
  int i = threadIdx.x;
  float best = -FLT_MAX;
  if (i < n) best = fmaxf(best, __half2float(x[i]) + float(z[i]) + __low2float(pair));
  y[i] = __float2bfloat16(expf(best) * rsqrtf(2.0f) + M_PI + INFINITY);
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  __half2 pair = __halves2half2(__float2half(1.5f), __float2half(2.5f));
  halves<<<1, 128, 0, stream>>>((const __half*)x, (__nv_bfloat16*)y, (const __nv_fp8_e4m3*)x, pair,
                                n);
}
