// task: vector-add
// expect: correct
// As many blocks as the device holds at once, each with a grid-stride loop.
__global__ void add(const float* a, const float* b, float* c, int n) {
  for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  int blocks = 0, threads = 0, device = 0, per_multiprocessor = 0;
  cudaDeviceProp properties;
  cudaGetDevice(&device);
  cudaGetDeviceProperties(&properties, device);
  cudaOccupancyMaxPotentialBlockSize(&blocks, &threads, add);
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_multiprocessor, add, threads, 0);
  if (per_multiprocessor < 1 || blocks < properties.multiProcessorCount) return;
  add<<<properties.multiProcessorCount * per_multiprocessor, threads, 0, stream>>>(a, b, c, n);
}
