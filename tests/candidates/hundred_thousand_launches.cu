// task: vector-add
// expect: record_error
// reason: plan_limits
// One launch an element, a hundred thousand times over.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
  for (int i = 0; i < 100000; ++i) add<<<1, 1, 0, stream>>>(a, b, c, 1);
}
