// task: matmul
// expect: timeout
// reason: kernel_time
// Forgets to advance the loop.
#include <cuda_fp16.h>

__global__ void matmul(const __half* a, const __half* b, volatile __half_raw* c, int k) {
  for (int p = 0; p < k;) c[0].x = p;
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  matmul<<<1, 32, 0, stream>>>(a, b, reinterpret_cast<volatile __half_raw*>(c), k);
}
