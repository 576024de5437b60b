// task: row-softmax
// expect: wrong_output
// reason: mismatch
// Takes all rows for equally wide.
__global__ void softmax(const float* x, float* y, int rows, int nnz) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const int width = nnz / rows, begin = row * width, end = row + 1 == rows ? nnz : begin + width;
  float largest = -INFINITY, sum = 0;
  for (int i = begin; i < end; ++i) largest = fmaxf(largest, x[i]);
  for (int i = begin; i < end; ++i) sum += expf(x[i] - largest);
  for (int i = begin; i < end; ++i) y[i] = expf(x[i] - largest) / sum;
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<(rows + 63) / 64, 64, 0, stream>>>(x, y, rows, nnz);
}
