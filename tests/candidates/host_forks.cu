// task: vector-add
// expect: record_error
// reason: unsupported_call
// Starts a child process.
#include <unistd.h>

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  if (fork() == 0)
    for (;;) {
    }
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
