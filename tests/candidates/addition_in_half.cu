// task: vector-add
// expect: wrong_output
// reason: mismatch
// Adds in f16, which an absolute tolerance would forgive.
#include <cuda_fp16.h>

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = __half2float(__float2half(a[i]) + __float2half(b[i]));
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
