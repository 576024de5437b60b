// task: vector-add
// expect: compile_error
// reason: compiler_limits
// A static shared array of 64 KiB, more than static shared memory can be.
__global__ void add(const float* a, const float* b, float* c, int n) {
  __shared__ float tile[16384];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  tile[threadIdx.x] = i < n ? a[i] : 0;
  __syncthreads();
  tile[threadIdx.x + 256] = tile[255 - threadIdx.x];
  if (i < n) c[i] = tile[threadIdx.x] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
