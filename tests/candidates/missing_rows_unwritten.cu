// task: gather
// expect: wrong_output
// reason: unwritten
// case: missing
// Skips the rows whose index is -1.
__global__ void gather(const float* table, const long long* index, float* y, int cols) {
  const long long source = index[blockIdx.x];
  if (source < 0) return;
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * cols + c] = table[source * cols + c];
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  gather<<<n, 128, 0, stream>>>(table, index, y, cols);
}
