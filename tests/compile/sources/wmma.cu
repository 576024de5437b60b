// Tensor cores through the wmma interface.
#include <mma.h>
using namespace nvcuda;
__global__ void tile_product(const half* a, const half* b, float* c) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 0.0f);
  wmma::load_matrix_sync(left, a, 16);
  wmma::load_matrix_sync(right, b, 16);
  wmma::mma_sync(sum, left, right, sum);
  wmma::store_matrix_sync(c, sum, 16, wmma::mem_row_major);
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  tile_product<<<1, 32, 0, stream>>>((const half*)x, (const half*)x, y);
}
