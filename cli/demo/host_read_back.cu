// Wrong on purpose: chooses its launch by data that only the GPU has.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  float first = 0;
  cudaMemcpy(&first, a, sizeof first, cudaMemcpyDeviceToHost);
  const int threads = first > 0 ? 128 : 256;
  add<<<(n + threads - 1) / threads, threads, 0, stream>>>(a, b, c, n);
}
