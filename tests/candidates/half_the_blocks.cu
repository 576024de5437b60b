// task: vector-add
// expect: wrong_output
// reason: unwritten
// case: ragged
// Two elements for each of the threads were planned, one is computed.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 511) / 512, 256, 0, stream>>>(a, b, c, n);
}
