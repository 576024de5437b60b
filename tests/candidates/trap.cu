// task: rmsnorm
// expect: runtime_fault
// reason: trap
// case: tiny
// Stops itself where a size does not suit it.
#include <cuda_bf16.h>

__global__ void rmsnorm(const __nv_bfloat16* x, __nv_bfloat16* y, int cols) {
  if (cols % 8 != 0) __trap();
  y[blockIdx.x * cols + threadIdx.x] = x[blockIdx.x * cols + threadIdx.x];
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                      int rows, int cols, float eps, cudaStream_t stream) {
  rmsnorm<<<rows, 1, 0, stream>>>(x, y, cols);
}
