// task: vector-add
// expect: record_error
// reason: plan_limits
// Prints on the host until a limit ends it.
#include <cstdio>

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  for (;;) puts("correct correct correct correct correct correct correct correct");
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
