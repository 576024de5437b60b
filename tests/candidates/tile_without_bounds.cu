// task: matmul
// expect: runtime_fault
// reason: illegal_address
// case: ragged
// cuda: tampered red_zone | runtime_fault illegal_address
// Tiles without a check at the edges; right only where all sizes are multiples of 16.
#include <cuda_fp16.h>

__global__ void matmul(const __half* a, const __half* b, __half* c, int m, int n, int k) {
  __shared__ float a_tile[16][16], b_tile[16][16];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
  float sum = 0;
  for (int start = 0; start < k; start += 16) {
    a_tile[y][x] = __half2float(a[row * k + start + x]);
    b_tile[y][x] = __half2float(b[(start + y) * n + column]);
    __syncthreads();
    for (int p = 0; p < 16; ++p) sum += a_tile[y][p] * b_tile[p][x];
    __syncthreads();
  }
  c[row * n + column] = __float2half(sum);
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  matmul<<<dim3((n + 15) / 16, (m + 15) / 16), dim3(16, 16), 0, stream>>>(a, b, c, m, n, k);
}
