// task: vector-add
// expect: record_error
// reason: not_reproducible
// The number of blocks depends on the clock.
#include <cstdlib>
#include <ctime>

__global__ void add(const float* a, const float* b, float* c, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  srand(static_cast<unsigned>(time(nullptr)));
  add<<<1 + rand() % 1000, 256, 0, stream>>>(a, b, c, n);
}
