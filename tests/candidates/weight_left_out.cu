// task: rmsnorm
// expect: wrong_output
// reason: mismatch
// Leaves out the weight.
#include <cuda_bf16.h>

__global__ void rmsnorm(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                        int rows, int cols, float eps) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += row * cols;
  y += row * cols;
  float sum = 0;
  for (int c = 0; c < cols; ++c) sum += __bfloat162float(x[c]) * __bfloat162float(x[c]);
  const float scale = rsqrtf(sum / cols + eps);
  for (int c = 0; c < cols; ++c) y[c] = __float2bfloat16(__bfloat162float(x[c]) * scale);
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                      int rows, int cols, float eps, cudaStream_t stream) {
  rmsnorm<<<(rows + 31) / 32, 32, 0, stream>>>(x, weight, y, rows, cols, eps);
}
