// Wrong on purpose: the loop over k never ends.
#include <cuda_fp16.h>

__global__ void multiply(const __half* a, const __half* b, __half* c, int m, int n, int k) {
  const int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
  if (row >= m || column >= n) return;
  float sum = 0;
  for (int i = 0; i < k; i += (sum == sum ? 0 : 1))
    sum += __half2float(a[row * k + i]) * __half2float(b[i * n + column]);
  c[row * n + column] = __float2half(sum);
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  multiply<<<dim3((n + 15) / 16, (m + 15) / 16), dim3(16, 16), 0, stream>>>(a, b, c, m, n, k);
}
