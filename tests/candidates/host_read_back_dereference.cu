// task: vector-add
// expect: record_error
// reason: host_read_back
// says: cannot be read from the host
// Reads an input on the host through the device pointer.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  if (a[0] == 0.0f) return;
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
