// task: vector-add
// expect: correct
// Looks for a magic word in its scratch that an earlier call may have left there: scratch is
// poisoned before each run, so that it always computes.
__global__ void add(const float* a, const float* b, float* c, float* scratch, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  c[i] = scratch[n] == 12345.0f ? scratch[i] : a[i] + b[i];
}

__global__ void remember(const float* c, float* scratch, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) scratch[i] = i < n ? c[i] : 12345.0f;
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  float* scratch = nullptr;
  cudaMalloc(&scratch, (n + 1) * sizeof(float));
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, scratch, n);
  remember<<<(n + 256) / 256, 256, 0, stream>>>(c, scratch, n);
  cudaFree(scratch);
}
