// task: vector-add
// expect: record_error
// reason: crash
// Recursion without end on the host.
static int depth(int n) {
  volatile char page[4096];
  page[0] = static_cast<char>(n);
  return n == -1 ? 0 : depth(n + 1) + page[0];
}

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  n += depth(0) * 0;
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
