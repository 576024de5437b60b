// task: vector-add
// expect: correct
// Launches by cudaLaunchKernel and cudaLaunchKernelEx instead of the angle brackets.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  const int half = n / 2;
  int rest = n - half;
  if (half > 0) {
    int count = half;
    void* arguments[] = {&a, &b, &c, &count};
    cudaLaunchKernel(reinterpret_cast<const void*>(add), dim3((half + 63) / 64), dim3(64),
                     arguments, 0, stream);
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3((rest + 127) / 128);
  config.blockDim = dim3(128);
  config.stream = stream;
  cudaLaunchKernelEx(&config, add, a + half, b + half, c + half, rest);
}
