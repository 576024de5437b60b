// task: vector-add
// expect: record_error
// reason: memory
// Fills 16 GiB of host memory.
#include <vector>

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  std::vector<char> much(size_t{16} << 30, 1);
  n -= much[12345] - 1;
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
