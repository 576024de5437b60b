// Oracle: one thread an element of y.
__global__ void gather(const float* table, const long long* index, float* y, int cols, int n) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(n) * cols) return;
  const long long row = index[i / cols];
  y[i] = row < 0 ? 0.0f : table[row * cols + i % cols];
}

extern "C" void solve(const float* table, const long long* index, float* y, int /*entries*/,
                      int cols, int n, cudaStream_t stream) {
  const long long elements = static_cast<long long>(n) * cols;
  gather<<<static_cast<unsigned>((elements + 255) / 256), 256, 0, stream>>>(table, index, y, cols,
                                                                            n);
}
