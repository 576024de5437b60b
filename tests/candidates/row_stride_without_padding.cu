// task: transpose-padded
// expect: wrong_output
// reason: mismatch
// Writes rows of y without room for the padding, then clears what is left at the end.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= cols * ld) return;
  y[i] = i < rows * cols ? x[i % rows * cols + i / rows] : 0.0f;
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  transpose<<<(cols * ld + 255) / 256, 256, 0, stream>>>(x, y, rows, cols, ld);
}
