// task: tk-gemm-bf16
// expect: wrong_output
// reason: mismatch
// case: ragged
// Leaves out the last incomplete tile of k.
#include <cuda_bf16.h>

constexpr int kTile = 16;

__global__ void matmul(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* c, int m,
                       int n, int k) {
  __shared__ float a_tile[kTile][kTile], b_tile[kTile][kTile];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * kTile + y, column = blockIdx.x * kTile + x;

  float sum = 0;
  for (int start = 0; start + kTile <= k; start += kTile) {
    const bool a_inside = row < m && start + x < k, b_inside = start + y < k && column < n;
    a_tile[y][x] =
        a_inside ? __bfloat162float(a[static_cast<long long>(row) * k + start + x]) : 0.0f;
    b_tile[y][x] =
        b_inside ? __bfloat162float(b[static_cast<long long>(start + y) * n + column]) : 0.0f;
    __syncthreads();
    for (int p = 0; p < kTile; ++p) sum += a_tile[y][p] * b_tile[p][x];
    __syncthreads();
  }
  if (row < m && column < n) c[static_cast<long long>(row) * n + column] = __float2bfloat16(sum);
}

extern "C" void solve(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* c, int m,
                      int n, int k, cudaStream_t stream) {
  const dim3 grid((n + kTile - 1) / kTile, (m + kTile - 1) / kTile);
  matmul<<<grid, dim3(kTile, kTile), 0, stream>>>(a, b, c, m, n, k);
}
