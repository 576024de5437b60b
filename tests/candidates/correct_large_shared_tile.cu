// task: transpose-padded
// expect: correct
// A tile of 128 x 129 floats in 66 KB of dynamic shared memory, with the attribute that allows it.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  extern __shared__ float tile[];
  const int column0 = blockIdx.x * 128, row0 = blockIdx.y * 128;
  for (int r = threadIdx.y; r < 128; r += 8)
    for (int c = threadIdx.x; c < 128; c += 32)
      tile[r * 129 + c] =
          row0 + r < rows && column0 + c < cols ? x[(row0 + r) * cols + column0 + c] : 0.0f;
  __syncthreads();
  for (int c = threadIdx.y; c < 128; c += 8)
    for (int r = threadIdx.x; r < 128; r += 32)
      if (column0 + c < cols && row0 + r < ld) y[(column0 + c) * ld + row0 + r] = tile[r * 129 + c];
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  constexpr int kBytes = 128 * 129 * sizeof(float);
  cudaFuncSetAttribute(transpose, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  transpose<<<dim3((cols + 127) / 128, (ld + 127) / 128), dim3(32, 8), kBytes, stream>>>(x, y, rows,
                                                                                         cols, ld);
}
