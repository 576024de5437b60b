// task: row-softmax
// expect: tampered
// reason: input_changed
// says: x
// Puts the exponentials into the input to save a pass.
__global__ void softmax(float* x, const int* offsets, float* y, int rows) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const int begin = offsets[row], end = offsets[row + 1];
  float largest = -INFINITY, sum = 0;
  for (int i = begin; i < end; ++i) largest = fmaxf(largest, x[i]);
  for (int i = begin; i < end; ++i) sum += x[i] = expf(x[i] - largest);
  for (int i = begin; i < end; ++i) y[i] = x[i] / sum;
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<(rows + 63) / 64, 64, 0, stream>>>(const_cast<float*>(x), offsets, y, rows);
}
