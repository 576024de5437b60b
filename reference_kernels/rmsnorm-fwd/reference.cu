// Oracle: one thread a row, in double, one rounding.
#include <cuda_bf16.h>

__global__ void rmsnorm(const __nv_bfloat16* x, const __nv_bfloat16* w, __nv_bfloat16* y, int rows,
                        int cols, float eps) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  x += static_cast<long long>(row) * cols;
  y += static_cast<long long>(row) * cols;
  double squares = 0;
  for (int c = 0; c < cols; ++c) {
    const double value = __bfloat162float(x[c]);
    squares += value * value;
  }
  const double root = sqrt(squares / cols + eps);
  for (int c = 0; c < cols; ++c)
    y[c] = __double2bfloat16(__bfloat162float(x[c]) / root * __bfloat162float(w[c]));
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w, __nv_bfloat16* y, int rows,
                      int cols, float eps, cudaStream_t stream) {
  rmsnorm<<<(rows + 31) / 32, 32, 0, stream>>>(x, w, y, rows, cols, eps);
}
