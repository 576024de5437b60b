// task: vector-add
// expect: wrong_output
// reason: mismatch
// A memset of the output, and a kernel for show.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  cudaMemsetAsync(c, 0, n * sizeof(float), stream);
  add<<<1, 1, 0, stream>>>(a, b, c, 0);
}
