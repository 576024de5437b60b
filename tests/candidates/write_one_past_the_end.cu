// task: vector-add
// expect: runtime_fault
// reason: illegal_address
// says: tensor c
// cuda: tampered red_zone
// i <= n where i < n was meant, but only for the store.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) c[i] = i < n ? a[i] + b[i] : 0.0f;
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
