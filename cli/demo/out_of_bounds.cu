// Wrong on purpose: reads one element past the list of indices.
__global__ void gather(const float* table, const long long* index, float* y, int cols, int n) {
  const int i = blockIdx.x;
  const long long row = index[i + 1];
  for (int j = threadIdx.x; j < cols; j += blockDim.x)
    y[(long long)i * cols + j] = table[row * cols + j];
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  gather<<<n, 128, 0, stream>>>(table, index, y, cols, n);
}
