// task: vector-add
// expect: record_error
// reason: unsupported_call
// Opens a socket.
#include <sys/socket.h>

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  if (socket(AF_INET, SOCK_STREAM, 0) >= 0) n += 0;
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
