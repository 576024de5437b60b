// task: trntk-gram-normalised
// expect: wrong_output
// reason: mismatch
// case: zero-rows
// Divides by zero for zero rows.
#include <cuda_fp16.h>

constexpr int kThreads = 128;

__global__ void multiply(const __half* g, float* products, int p) {
  __shared__ float sums[kThreads];
  const __half* a = g + static_cast<long long>(blockIdx.y) * p;
  const __half* b = g + static_cast<long long>(blockIdx.x) * p;
  float sum = 0;
  for (int k = threadIdx.x; k < p; k += kThreads) sum += __half2float(a[k]) * __half2float(b[k]);
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) sums[threadIdx.x] += sums[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0) products[blockIdx.y * gridDim.x + blockIdx.x] = sums[0];
}

__global__ void normalise(const float* products, float* out, int n) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= n * n) return;
  const int i = index / n, j = index % n;
  const float scale = sqrtf(products[i * n + i]) * sqrtf(products[j * n + j]);
  out[index] = products[index] / scale;
}

extern "C" void solve(const __half* g, float* out, int n, int p, cudaStream_t stream) {
  float* products = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&products), sizeof(float) * n * n, stream);
  multiply<<<dim3(n, n), kThreads, 0, stream>>>(g, products, p);
  normalise<<<(n * n + 127) / 128, 128, 0, stream>>>(products, out, n);
  cudaFreeAsync(products, stream);
}
