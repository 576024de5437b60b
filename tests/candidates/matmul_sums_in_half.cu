// task: matmul
// expect: wrong_output
// reason: mismatch
// case: small
// Keeps the sums in f16.
#include <cuda_fp16.h>

__global__ void matmul(const __half* a, const __half* b, __half* c, int m, int n, int k) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= m * n) return;
  __half sum = __float2half(0.0f);
  for (int p = 0; p < k; ++p) sum = __hfma(a[i / n * k + p], b[p * n + i % n], sum);
  c[i] = sum;
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  matmul<<<(m * n + 127) / 128, 128, 0, stream>>>(a, b, c, m, n, k);
}
