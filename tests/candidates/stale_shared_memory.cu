// task: transpose-padded
// expect: nondeterministic
// reason: repeat_differs
// case: ragged
// cuda: correct | wrong_output mismatch | nondeterministic repeat_differs
// Reads parts of a tile that no thread has written in this block.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  __shared__ float tile[32][33];
  const int column0 = blockIdx.x * 32, row0 = blockIdx.y * 32;
  const int row = row0 + threadIdx.y, column = column0 + threadIdx.x;
  if (row < rows && column < cols) tile[threadIdx.y][threadIdx.x] = x[row * cols + column];
  __syncthreads();
  if (column0 + threadIdx.y < cols && row0 + threadIdx.x < ld)
    y[(column0 + threadIdx.y) * ld + row0 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  transpose<<<dim3((cols + 31) / 32, (ld + 31) / 32), dim3(32, 32), 0, stream>>>(x, y, rows, cols,
                                                                                 ld);
}
