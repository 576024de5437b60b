// task: matmul
// expect: wrong_output
// reason: mismatch
// Reads b as if it were stored by columns.
#include <cuda_fp16.h>

__global__ void matmul(const __half* a, const __half* b, __half* c, int m, int n, int k) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= m * n) return;
  float sum = 0;
  for (int p = 0; p < k; ++p)
    sum += __half2float(a[i / n * k + p]) * __half2float(b[i % n * k + p]);
  c[i] = __float2half(sum);
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  matmul<<<(m * n + 127) / 128, 128, 0, stream>>>(a, b, c, m, n, k);
}
