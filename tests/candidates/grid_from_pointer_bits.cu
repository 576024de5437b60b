// task: vector-add
// expect: record_error
// reason: not_reproducible
// says: addresses, time or randomness
// The number of blocks depends on bits of an address.
__global__ void add(const float* a, const float* b, float* c, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  const unsigned long long bits = reinterpret_cast<unsigned long long>(a);
  const unsigned blocks = 1 + static_cast<unsigned>((bits * 0x9e3779b97f4a7c15ull) >> 50);
  add<<<blocks, 256, 0, stream>>>(a, b, c, n);
}
