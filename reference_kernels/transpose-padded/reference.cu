// Oracle: one thread an element of y.
__global__ void transpose(const float* x, float* y, int rows, int cols, int ld) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(cols) * ld) return;
  const long long column = i / ld, row = i % ld;
  y[i] = row < rows ? x[row * cols + column] : 0.0f;
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  const long long elements = static_cast<long long>(cols) * ld;
  transpose<<<static_cast<unsigned>((elements + 255) / 256), 256, 0, stream>>>(x, y, rows, cols,
                                                                               ld);
}
