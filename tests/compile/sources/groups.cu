// Cooperative groups.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
__device__ float tile_sum(cg::thread_block_tile<32> tile, float value) {
  return cg::reduce(tile, value, cg::plus<float>());
}
__global__ void sums(const float* x, float* y) {
  cg::thread_block block = cg::this_thread_block();
  auto tile = cg::tiled_partition<32>(block);
  float total = tile_sum(tile, x[block.thread_rank()]);
  if (tile.thread_rank() == 0) atomicAdd(y, total);
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  sums<<<4, 128, 0, stream>>>(x, y);
}
