// task: vector-add
// expect: runtime_fault
// reason: illegal_address
// case: ragged
// cuda: tampered red_zone | runtime_fault illegal_address
// No bounds check: the last block reads and writes past the end.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
