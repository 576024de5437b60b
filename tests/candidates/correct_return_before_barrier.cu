// task: vector-add
// expect: correct
// Threads past the end return before the barrier: threads that have ended are not waited for.
__global__ void add(const float* a, const float* b, float* c, int n) {
  __shared__ float tile[256];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  tile[threadIdx.x] = a[i];
  __syncthreads();
  c[i] = tile[threadIdx.x] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
