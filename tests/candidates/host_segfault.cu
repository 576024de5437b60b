// task: vector-add
// expect: record_error
// reason: crash
// says: null pointer
// Writes through a null pointer on the host.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  volatile int* nowhere = nullptr;
  *nowhere = 1;
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
