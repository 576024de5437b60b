// task: vector-add
// expect: launch_error
// reason: launch_limits
// case: tiny
// Rounds down: with fewer than 256 elements there are 0 blocks.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<n / 256, 256, 0, stream>>>(a, b, c, n);
}
