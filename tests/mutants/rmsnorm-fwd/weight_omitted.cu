// task: rmsnorm-fwd
// expect: wrong_output
// reason: mismatch
// Leaves out the weights.
#include <cuda_bf16.h>

constexpr int kThreads = 128;

__global__ void rmsnorm(const __nv_bfloat16* x, const __nv_bfloat16* w, __nv_bfloat16* y, int cols,
                        float eps) {
  __shared__ float scratch[kThreads];
  x += static_cast<long long>(blockIdx.x) * cols;
  y += static_cast<long long>(blockIdx.x) * cols;
  float squares = 0;
  for (int c = threadIdx.x; c < cols; c += kThreads) {
    const float value = __bfloat162float(x[c]);
    squares += value * value;
  }
  scratch[threadIdx.x] = squares;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) scratch[threadIdx.x] += scratch[threadIdx.x + step];
    __syncthreads();
  }
  const float scale = rsqrtf(scratch[0] / cols + eps);
  for (int c = threadIdx.x; c < cols; c += kThreads)
    y[c] = __float2bfloat16(__bfloat162float(x[c]) * scale);
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w, __nv_bfloat16* y, int rows,
                      int cols, float eps, cudaStream_t stream) {
  rmsnorm<<<rows, kThreads, 0, stream>>>(x, w, y, cols, eps);
}
