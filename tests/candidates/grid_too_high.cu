// task: transpose-padded
// expect: launch_error
// reason: launch_limits
// 70000 blocks in y, where 65535 are the most.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  const int column = blockIdx.y, row = blockIdx.x * blockDim.x + threadIdx.x;
  if (column < cols && row < ld) y[column * ld + row] = row < rows ? x[row * cols + column] : 0.0f;
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  transpose<<<dim3((ld + 63) / 64, 70000), 64, 0, stream>>>(x, y, rows, cols, ld);
}
