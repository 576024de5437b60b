// task: vector-add
// expect: timeout
// reason: kernel_time
// Waits for a flag that nobody sets.
__device__ volatile int flag;

__global__ void add(const float* a, const float* b, float* c, int n) {
  while (flag == 0) {
  }
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
