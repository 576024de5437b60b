// task: layernorm-bwd
// expect: wrong_output
// reason: mismatch
// Multiplies dw by the weight.
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

__global__ void input_gradient(const __nv_bfloat16* dy, const __nv_bfloat16* x,
                               const __nv_bfloat16* w, const float* mean, const float* rstd,
                               __nv_bfloat16* dx, int cols) {
  const long long start = static_cast<long long>(blockIdx.x) * cols;
  const float row_mean = mean[blockIdx.x], row_rstd = rstd[blockIdx.x];
  float with_x = 0, plain = 0;
  for (int c = threadIdx.x; c < cols; c += kThreads) {
    const float g = __bfloat162float(dy[start + c]) * __bfloat162float(w[c]);
    with_x += g * (__bfloat162float(x[start + c]) - row_mean) * row_rstd;
    plain += g;
  }
  const float c1 = sum_over_block(with_x) / cols;
  const float c2 = sum_over_block(plain) / cols;
  for (int c = threadIdx.x; c < cols; c += kThreads) {
    const float g = __bfloat162float(dy[start + c]) * __bfloat162float(w[c]);
    const float xh = (__bfloat162float(x[start + c]) - row_mean) * row_rstd;
    dx[start + c] = __float2bfloat16(row_rstd * (g - c2 - xh * c1));
  }
}

__global__ void parameter_gradients(const __nv_bfloat16* dy, const __nv_bfloat16* x,
                                    const __nv_bfloat16* w, const float* mean, const float* rstd,
                                    float* dw, float* db, int rows, int cols) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= cols) return;
  float weight = 0, bias = 0;
  for (int r = 0; r < rows; ++r) {
    const float g = __bfloat162float(dy[static_cast<long long>(r) * cols + c]);
    weight += g * (__bfloat162float(x[static_cast<long long>(r) * cols + c]) - mean[r]) * rstd[r];
    bias += g;
  }
  dw[c] = weight * __bfloat162float(w[c]);
  db[c] = bias;
}

extern "C" void solve(const __nv_bfloat16* dy, const __nv_bfloat16* x, const __nv_bfloat16* w,
                      const float* mean, const float* rstd, __nv_bfloat16* dx, float* dw, float* db,
                      int rows, int cols, cudaStream_t stream) {
  input_gradient<<<rows, kThreads, 0, stream>>>(dy, x, w, mean, rstd, dx, cols);
  parameter_gradients<<<(cols + 127) / 128, 128, 0, stream>>>(dy, x, w, mean, rstd, dw, db, rows,
                                                              cols);
}
