// task: row-softmax
// expect: wrong_output
// reason: mismatch
// says: NaN
// case: outliers
// Does not subtract the maximum: large values overflow.
__global__ void softmax(const float* x, const int* offsets, float* y, int rows) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const int begin = offsets[row], end = offsets[row + 1];
  float sum = 0;
  for (int i = begin; i < end; ++i) sum += expf(x[i]);
  for (int i = begin; i < end; ++i) y[i] = expf(x[i]) / sum;
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<(rows + 63) / 64, 64, 0, stream>>>(x, offsets, y, rows);
}
