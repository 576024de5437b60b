// Oracle: one thread an element, in double.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) c[i] = static_cast<float>(static_cast<double>(a[i]) + static_cast<double>(b[i]));
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255u) / 256, 256, 0, stream>>>(a, b, c, n);
}
