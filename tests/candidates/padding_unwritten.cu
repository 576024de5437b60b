// task: transpose-padded
// expect: wrong_output
// reason: unwritten
// Leaves the padding of y as it was.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
  if (column < cols) y[column * ld + row] = x[row * cols + column];
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  transpose<<<dim3((cols + 127) / 128, rows), 128, 0, stream>>>(x, y, rows, cols, ld);
}
