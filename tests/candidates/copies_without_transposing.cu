// task: transpose-padded
// expect: wrong_output
// reason: mismatch
// Row and column exchanged on one side only.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= cols * ld) return;
  const int column = i / ld, row = i % ld;
  y[i] = row < rows ? x[(column * rows + row) % (rows * cols)] : 0.0f;
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  transpose<<<(cols * ld + 255) / 256, 256, 0, stream>>>(x, y, rows, cols, ld);
}
