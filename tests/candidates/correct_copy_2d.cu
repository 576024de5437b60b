// task: transpose-padded
// expect: correct
// Transposes into scratch without padding, then moves rows with a two-dimensional copy.
__global__ void transpose(const float* x, float* y, int rows, int cols) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < rows * cols) y[i] = x[i % rows * cols + i / rows];
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  float* packed = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&packed), sizeof(float) * rows * cols, stream);
  transpose<<<(rows * cols + 255) / 256, 256, 0, stream>>>(x, packed, rows, cols);
  cudaMemsetAsync(y, 0, sizeof(float) * cols * ld, stream);
  cudaMemcpy2DAsync(y, sizeof(float) * ld, packed, sizeof(float) * rows, sizeof(float) * rows, cols,
                    cudaMemcpyDeviceToDevice, stream);
  cudaFreeAsync(packed, stream);
}
