// task: matmul
// expect: nondeterministic
// reason: shared_race
// case: tiles
// cuda: correct
// Fills the next tiles while other warps still read the last ones.
#include <cuda_fp16.h>

__global__ void matmul(const __half* a, const __half* b, __half* c, int m, int n, int k) {
  __shared__ float a_tile[16][16], b_tile[16][16];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
  float sum = 0;
  for (int start = 0; start < k; start += 16) {
    a_tile[y][x] = row < m && start + x < k ? __half2float(a[row * k + start + x]) : 0.0f;
    b_tile[y][x] = start + y < k && column < n ? __half2float(b[(start + y) * n + column]) : 0.0f;
    __syncthreads();
    for (int p = 0; p < 16; ++p) sum += a_tile[y][p] * b_tile[p][x];
  }
  if (row < m && column < n) c[row * n + column] = __float2half(sum);
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  matmul<<<dim3((n + 15) / 16, (m + 15) / 16), dim3(16, 16), 0, stream>>>(a, b, c, m, n, k);
}
