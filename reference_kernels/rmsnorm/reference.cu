// Oracle: one thread a row, in double, one rounding at the end.
#include <cuda_bf16.h>

__global__ void rmsnorm(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                        int rows, int cols, float eps) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const long long start = static_cast<long long>(row) * cols;

  double sum = 0;
  for (int c = 0; c < cols; ++c) {
    const double value = __bfloat162float(x[start + c]);
    sum += value * value;
  }
  const double root = sqrt(sum / cols + eps);
  for (int c = 0; c < cols; ++c) {
    const double value = __bfloat162float(x[start + c]);
    y[start + c] = __double2bfloat16(value / root * __bfloat162float(weight[c]));
  }
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                      int rows, int cols, float eps, cudaStream_t stream) {
  rmsnorm<<<(rows + 31) / 32, 32, 0, stream>>>(x, weight, y, rows, cols, eps);
}
