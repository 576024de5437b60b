// Host code that uses the standard library; device code that does not.
#include <algorithm>
#include <vector>
#include <iostream>
#include <cassert>
__global__ void count(float* y, int n) {
  assert(n > 0);
  if (n < 0) printf("%d\n", n);
  y[threadIdx.x] = n;
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  std::vector<int> sizes = {3, 1, std::max(n, 2)};
  std::sort(sizes.begin(), sizes.end());
  auto run = [&](int blocks) { count<<<blocks, 32, 0, stream>>>(y, blocks); };
  for (int size : sizes) run(size);
  if (n < 0) std::cerr << "never\n";
}
