// task: matmul
// expect: correct
// Tensor cores through nvcuda::wmma, with operands and result staged in shared memory.
#include <cuda_fp16.h>
#include <mma.h>

using namespace nvcuda;

__global__ void matmul(const __half* a, const __half* b, __half* c, int m, int n, int k) {
  __shared__ __half a_tile[16 * 16], b_tile[16 * 16];
  __shared__ float c_tile[16 * 16];
  const int row0 = blockIdx.y * 16, column0 = blockIdx.x * 16;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums;
  wmma::fill_fragment(sums, 0.0f);
  for (int start = 0; start < k; start += 16) {
    for (int i = threadIdx.x; i < 256; i += 32) {
      const int r = i / 16, s = i % 16;
      a_tile[i] = row0 + r < m && start + s < k ? a[(row0 + r) * k + start + s] : __half(0);
      b_tile[i] = start + r < k && column0 + s < n ? b[(start + r) * n + column0 + s] : __half(0);
    }
    __syncwarp();
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> left;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> right;
    wmma::load_matrix_sync(left, a_tile, 16);
    wmma::load_matrix_sync(right, b_tile, 16);
    wmma::mma_sync(sums, left, right, sums);
    __syncwarp();
  }
  wmma::store_matrix_sync(c_tile, sums, 16, wmma::mem_row_major);
  __syncwarp();
  for (int i = threadIdx.x; i < 256; i += 32)
    if (row0 + i / 16 < m && column0 + i % 16 < n)
      c[(row0 + i / 16) * n + column0 + i % 16] = __float2half(c_tile[i]);
}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  matmul<<<dim3((n + 15) / 16, (m + 15) / 16), 32, 0, stream>>>(a, b, c, m, n, k);
}
