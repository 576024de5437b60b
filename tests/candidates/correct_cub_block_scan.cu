// task: prefix-sum
// expect: correct
// A block scan of CUB, which is made of headers only; one block walks over the whole array.
#include <cub/block/block_scan.cuh>

__global__ void scan(const int* x, int* y, int n) {
  using Scan = cub::BlockScan<int, 256>;
  __shared__ typename Scan::TempStorage storage;
  int carry = 0;
  for (int start = 0; start < n; start += 256) {
    const int i = start + threadIdx.x;
    int value = i < n ? x[i] : 0, total = 0;
    Scan(storage).InclusiveSum(value, value, total);
    if (i < n) y[i] = carry + value;
    carry += total;
    __syncthreads();
  }
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  scan<<<1, 256, 0, stream>>>(x, y, n);
}
