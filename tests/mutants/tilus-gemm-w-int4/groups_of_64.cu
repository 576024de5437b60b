// task: tilus-gemm-w-int4
// expect: wrong_output
// reason: mismatch
// case: ragged
// Takes groups of 64.
#include <cuda_fp16.h>

constexpr int kGroup = 128;

__device__ int code_at(const unsigned char* wq, long long element) {
  const int code = wq[element / 2] >> (element % 2 * 4) & 15;
  return code - 16 * (code >= 8);
}

__global__ void product(const __half* x, const unsigned char* wq, const __half* s, __half* y, int m,
                        int k, int n) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
  if (column >= n) return;
  float sum = 0;
  for (int i = 0; i < k; ++i) {
    const long long element = static_cast<long long>(i) * n + column;
    const long long group = static_cast<long long>(min(i / 64, k / kGroup - 1)) * n + column;
    const float code = code_at(wq, element);
    sum += __half2float(x[static_cast<long long>(row) * k + i]) * (code * __half2float(s[group]));
  }
  y[static_cast<long long>(row) * n + column] = __float2half(sum);
}

extern "C" void solve(const __half* x, const unsigned char* wq, const __half* s, __half* y, int m,
                      int k, int n, cudaStream_t stream) {
  product<<<dim3((n + 63) / 64, m), 64, 0, stream>>>(x, wq, s, y, m, k, n);
}
