// task: matmul
// expect: wrong_output
// reason: mismatch
// Takes the bits of f16 for bf16.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

__global__ void matmul(const __nv_bfloat16* a, const __nv_bfloat16* b, __half* c, int m, int n,
                       int k) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= m * n) return;
  float sum = 0;
  for (int p = 0; p < k; ++p)
    sum += __bfloat162float(a[i / n * k + p]) * __bfloat162float(b[p * n + i % n]);
  c[i] = __float2half(sum);
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  matmul<<<(m * n + 127) / 128, 128, 0, stream>>>(reinterpret_cast<const __nv_bfloat16*>(a),
                                                  reinterpret_cast<const __nv_bfloat16*>(b), c, m,
                                                  n, k);
}
