// Wrong on purpose: leaves the padding of the output rows as it was.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  const int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
  if (row < rows && column < cols) y[column * ld + row] = x[row * cols + column];
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  transpose<<<dim3((cols + 15) / 16, (rows + 15) / 16), dim3(16, 16), 0, stream>>>(x, y, rows, cols,
                                                                                   ld);
}
