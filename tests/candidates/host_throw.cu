// task: vector-add
// expect: record_error
// reason: exception
// says: n must be a multiple of 4
// case: tiny
// Throws because of a size it does not like.
#include <stdexcept>

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  if (n % 4 != 0) throw std::runtime_error("n must be a multiple of 4");
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
