// task: vector-add
// expect: wrong_output
// reason: unwritten
// Works on groups of 4 and forgets the rest.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 3 >= n) return;
  for (int j = i; j < i + 4; ++j) c[j] = a[j] + b[j];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
