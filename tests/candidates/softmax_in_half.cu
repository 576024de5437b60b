// task: row-softmax
// expect: wrong_output
// reason: mismatch
// Exponentials in f16.
#include <cuda_fp16.h>

__global__ void softmax(const float* x, const int* offsets, float* y, int rows) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const int begin = offsets[row], end = offsets[row + 1];
  float largest = -INFINITY, sum = 0;
  for (int i = begin; i < end; ++i) largest = fmaxf(largest, x[i]);
  for (int i = begin; i < end; ++i) sum += __half2float(hexp(__float2half(x[i] - largest)));
  for (int i = begin; i < end; ++i) y[i] = __half2float(hexp(__float2half(x[i] - largest))) / sum;
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<(rows + 63) / 64, 64, 0, stream>>>(x, offsets, y, rows);
}
