// task: rmsnorm
// expect: wrong_output
// reason: mismatch
// case: ragged
// Keeps the sum of squares in bf16, where it stops growing.
#include <cuda_bf16.h>

__global__ void rmsnorm(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                        int rows, int cols, float eps) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += row * cols;
  y += row * cols;
  __nv_bfloat16 sum = __float2bfloat16(0.0f);
  for (int c = 0; c < cols; ++c)
    sum = __float2bfloat16(__bfloat162float(sum) + __bfloat162float(x[c]) * __bfloat162float(x[c]));
  const float scale = rsqrtf(__bfloat162float(sum) / cols + eps);
  for (int c = 0; c < cols; ++c)
    y[c] = __float2bfloat16(__bfloat162float(x[c]) * scale * __bfloat162float(weight[c]));
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                      int rows, int cols, float eps, cudaStream_t stream) {
  rmsnorm<<<(rows + 31) / 32, 32, 0, stream>>>(x, weight, y, rows, cols, eps);
}
