// A block-wide primitive of CUB.
#include <cub/block/block_reduce.cuh>
template <int kThreads>
__global__ void block_sum(const float* x, float* y) {
  using Reduce = cub::BlockReduce<float, kThreads>;
  __shared__ typename Reduce::TempStorage storage;
  float total = Reduce(storage).Sum(x[threadIdx.x]);
  if (threadIdx.x == 0) y[0] = total;
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  block_sum<128><<<1, 128, 0, stream>>>(x, y);
}
