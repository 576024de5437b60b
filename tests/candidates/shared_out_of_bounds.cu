// task: transpose-padded
// expect: runtime_fault
// reason: illegal_address
// says: shared
// A tile one row too small for its block.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  __shared__ float tile[31][33];
  const int column0 = blockIdx.x * 32, row0 = blockIdx.y * 32;
  const int row = row0 + threadIdx.y, column = column0 + threadIdx.x;
  tile[threadIdx.y][threadIdx.x] = row < rows && column < cols ? x[row * cols + column] : 0.0f;
  __syncthreads();
  if (column0 + threadIdx.y < cols && row0 + threadIdx.x < ld)
    y[(column0 + threadIdx.y) * ld + row0 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  transpose<<<dim3((cols + 31) / 32, (ld + 31) / 32), dim3(32, 32), 0, stream>>>(x, y, rows, cols,
                                                                                 ld);
}
