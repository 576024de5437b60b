// Oracle: one thread a row, three passes, in double.
#include <cuda_bf16.h>

__global__ void layernorm(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* b,
                          __nv_bfloat16* y, float* means, float* rstds, int rows, int cols,
                          float eps) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += static_cast<long long>(row) * cols;
  y += static_cast<long long>(row) * cols;
  double sum = 0, squares = 0;
  for (int c = 0; c < cols; ++c) sum += __bfloat162float(x[c]);
  const double mean = sum / cols;
  for (int c = 0; c < cols; ++c) {
    const double centred = __bfloat162float(x[c]) - mean;
    squares += centred * centred;
  }
  const double rstd = 1 / sqrt(squares / cols + eps);
  means[row] = static_cast<float>(mean);
  rstds[row] = static_cast<float>(rstd);
  for (int c = 0; c < cols; ++c)
    y[c] = __double2bfloat16((__bfloat162float(x[c]) - mean) * rstd * __bfloat162float(w[c]) +
                             __bfloat162float(b[c]));
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* b,
                      __nv_bfloat16* y, float* mean, float* rstd, int rows, int cols, float eps,
                      cudaStream_t stream) {
  layernorm<<<(rows + 31) / 32, 32, 0, stream>>>(x, w, b, y, mean, rstd, rows, cols, eps);
}
