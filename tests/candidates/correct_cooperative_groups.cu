// task: row-softmax
// expect: correct
// Reductions over tiles of 16 lanes by cooperative groups.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>

namespace cg = cooperative_groups;

__global__ void softmax(const float* x, const int* offsets, float* y, int rows) {
  const auto tile = cg::tiled_partition<16>(cg::this_thread_block());
  const int row = blockIdx.x * tile.meta_group_size() + tile.meta_group_rank();
  if (row >= rows) return;
  const int begin = offsets[row], end = offsets[row + 1], lane = tile.thread_rank();
  float largest = -INFINITY, sum = 0;
  for (int i = begin + lane; i < end; i += 16) largest = fmaxf(largest, x[i]);
  largest = cg::reduce(tile, largest, cg::greater<float>());
  for (int i = begin + lane; i < end; i += 16) sum += __expf(x[i] - largest);
  sum = cg::reduce(tile, sum, cg::plus<float>());
  for (int i = begin + lane; i < end; i += 16) y[i] = __expf(x[i] - largest) / sum;
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<(rows + 7) / 8, 128, 0, stream>>>(x, offsets, y, rows);
}
