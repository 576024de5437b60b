// task: tilus-gemm-w-uintx
// expect: wrong_output
// reason: mismatch
// case: seven-bits
// Does not carry a code into the next byte.
#include <cuda_fp16.h>

constexpr int kGroup = 128;

__device__ int code_at(const unsigned char* wq, long long element, int bits) {
  const long long bit = element * bits;
  const int shift = static_cast<int>(bit % 8);
  int window = wq[bit / 8];
  if (false) window |= wq[bit / 8 + 1] << 8;
  return window >> shift & ((1 << bits) - 1);
}

__global__ void product(const __half* x, const unsigned char* wq, const __half* s, const __half* zp,
                        __half* y, int m, int k, int n, int bits) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
  if (column >= n) return;
  float sum = 0;
  for (int i = 0; i < k; ++i) {
    const long long element = static_cast<long long>(i) * n + column;
    const long long group = static_cast<long long>(i / kGroup) * n + column;
    const float code = code_at(wq, element, bits) - __half2float(zp[group]);
    sum += __half2float(x[static_cast<long long>(row) * k + i]) * (code * __half2float(s[group]));
  }
  y[static_cast<long long>(row) * n + column] = __float2half(sum);
}

extern "C" void solve(const __half* x, const unsigned char* wq, const __half* s, const __half* zp,
                      __half* y, int m, int k, int n, int bits, cudaStream_t stream) {
  product<<<dim3((n + 63) / 64, m), 64, 0, stream>>>(x, wq, s, zp, y, m, k, n, bits);
}
