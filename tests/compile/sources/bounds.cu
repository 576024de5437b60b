// Attributes and function pointers to kernels, dynamic shared memory, inline PTX.
#define TILE 32
#define CUDA_CHECK(call)                  \
  do {                                    \
    cudaError_t error_ = (call);          \
    if (error_ != cudaSuccess) return;    \
  } while (0)
__global__ __launch_bounds__(TILE * 8, 2) void bounded(const __grid_constant__ int n, float* y) {
  extern __shared__ float buffer[];
  buffer[threadIdx.x] = y[threadIdx.x];
  __syncthreads();
#pragma unroll 4
  for (int i = 0; i < TILE; ++i) y[i] += buffer[(i + n) % TILE];
#if __CUDA_ARCH__ >= 800
  unsigned lane;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
  y[0] += lane;
#else
  y[0] = -1;
#endif
}
__global__ void __cluster_dims__(2, 1, 1) clustered(float* y) { y[0] = 1; }
template <int N>
__global__ void __launch_bounds__(N) sized(float* y) { y[threadIdx.x] = N; }
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  CUDA_CHECK(cudaFuncSetAttribute(bounded, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536));
  bounded<<<1, 256, 65536, stream>>>(n, y);
  clustered<<<4, 32, 0, stream>>>(y);
  void (*kernel)(float*) = sized<64>;
  kernel<<<1, 64, 0, stream>>>(y);
  (n > 5 ? sized<64> : sized<96>)<<<1, 64, 0, stream>>>(y);
  void* arguments[] = {&n, &y};
  CUDA_CHECK(cudaLaunchKernel((const void*)bounded, dim3(2), dim3(TILE), arguments, 256, stream));
  CUDA_CHECK(cudaGetLastError());
}
