// task: lightning-srmsnorm-fwdbwd
// expect: wrong_output
// reason: mismatch
// case: ragged-backward
// Does not divide the projection by the number of columns.
#include <cuda_bf16.h>

constexpr int kThreads = 128;

__device__ float sum_over_block(float value) {
  __shared__ float scratch[kThreads];
  __syncthreads();
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) scratch[threadIdx.x] += scratch[threadIdx.x + step];
    __syncthreads();
  }
  return scratch[0];
}

__global__ void norm(const __nv_bfloat16* x, const __nv_bfloat16* dy, __nv_bfloat16* y, int cols,
                     int mode, float eps) {
  const long long start = static_cast<long long>(blockIdx.x) * cols;
  float squares = 0;
  for (int c = threadIdx.x; c < cols; c += kThreads) {
    const float value = __bfloat162float(x[start + c]);
    squares += value * value;
  }
  const float rstd = 1 / sqrtf(sum_over_block(squares) / cols + eps);
  if (mode == 0) {
    for (int c = threadIdx.x; c < cols; c += kThreads)
      y[start + c] = __float2bfloat16(__bfloat162float(x[start + c]) * rstd);
    return;
  }
  float product = 0;
  for (int c = threadIdx.x; c < cols; c += kThreads)
    product += __bfloat162float(x[start + c]) * rstd * __bfloat162float(dy[start + c]);
  const float mean = sum_over_block(product);
  for (int c = threadIdx.x; c < cols; c += kThreads) {
    const float normal = __bfloat162float(x[start + c]) * rstd;
    y[start + c] = __float2bfloat16(rstd * (__bfloat162float(dy[start + c]) - normal * mean));
  }
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* dy, __nv_bfloat16* y, int rows,
                      int cols, int mode, float eps, cudaStream_t stream) {
  norm<<<rows, kThreads, 0, stream>>>(x, dy, y, cols, mode, eps);
}
