// task: vector-add
// expect: record_error
// reason: not_reproducible
// Passes an address with all bits turned over, which is a number that differs from one recording to
// the next.
__global__ void add(unsigned long long hidden, const float* b, float* c, int n) {
  const float* a = reinterpret_cast<const float*>(~hidden);
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  const unsigned long long hidden = ~reinterpret_cast<unsigned long long>(a);
  add<<<(n + 255) / 256, 256, 0, stream>>>(hidden, b, c, n);
}
