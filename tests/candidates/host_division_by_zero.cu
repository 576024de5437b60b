// task: vector-add
// expect: record_error
// reason: crash
// says: zero
// An integer division by zero on the host.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  volatile int zero = 0;
  n = n / zero;
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
