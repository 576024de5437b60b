// task: layernorm-fwd
// expect: wrong_output
// reason: mismatch
// case: ragged
// Divides the squares by cols - 1.
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

__global__ void layernorm(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* b,
                          __nv_bfloat16* y, float* means, float* rstds, int cols, float eps) {
  x += static_cast<long long>(blockIdx.x) * cols;
  y += static_cast<long long>(blockIdx.x) * cols;
  float sum = 0;
  for (int c = threadIdx.x; c < cols; c += kThreads) sum += __bfloat162float(x[c]);
  const float mean = sum_over_block(sum) / cols;
  float squares = 0;
  for (int c = threadIdx.x; c < cols; c += kThreads) {
    const float centred = __bfloat162float(x[c]) - mean;
    squares += centred * centred;
  }
  const float rstd = 1 / sqrtf(sum_over_block(squares) / max(cols - 1, 1) + eps);
  if (threadIdx.x == 0) {
    means[blockIdx.x] = mean;
    rstds[blockIdx.x] = rstd;
  }
  for (int c = threadIdx.x; c < cols; c += kThreads)
    y[c] = __float2bfloat16((__bfloat162float(x[c]) - mean) * rstd * __bfloat162float(w[c]) +
                            __bfloat162float(b[c]));
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* b,
                      __nv_bfloat16* y, float* mean, float* rstd, int rows, int cols, float eps,
                      cudaStream_t stream) {
  layernorm<<<rows, kThreads, 0, stream>>>(x, w, b, y, mean, rstd, cols, eps);
}
