// Oracle: one warp an entry, in double.
#include <cuda_fp16.h>

__device__ double product(const __half* a, const __half* b, int p) {
  double sum = 0;
  for (int k = threadIdx.x; k < p; k += 32)
    sum += static_cast<double>(__half2float(a[k])) * __half2float(b[k]);
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
  return sum;
}

__global__ void square(const __half* g, double* squares, int p) {
  const __half* row = g + static_cast<long long>(blockIdx.x) * p;
  const double sum = product(row, row, p);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

__global__ void cosine(const __half* g, const double* squares, float* out, int p) {
  const long long i = blockIdx.y, j = blockIdx.x;
  const double sum = product(g + i * p, g + j * p, p);
  const double scale = squares[i] * squares[j];
  if (threadIdx.x == 0)
    out[i * gridDim.x + j] = scale > 0 ? static_cast<float>(sum / sqrt(scale)) : 0.0f;
}

extern "C" void solve(const __half* g, float* out, int n, int p, cudaStream_t stream) {
  double* squares = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&squares), sizeof(double) * n, stream);
  square<<<n, 32, 0, stream>>>(g, squares, p);
  cosine<<<dim3(n, n), 32, 0, stream>>>(g, squares, out, p);
  cudaFreeAsync(squares, stream);
}
