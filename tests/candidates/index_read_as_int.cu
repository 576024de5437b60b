// task: gather
// expect: wrong_output
// reason: mismatch
// case: ragged
// Reads the 64-bit indices as 32-bit ones: every other one is the upper half of the one before.
__global__ void gather(const float* table, const int* index, float* y, int cols) {
  const int source = index[blockIdx.x];
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * cols + c] = source < 0 ? 0.0f : table[source * cols + c];
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  gather<<<n, 128, 0, stream>>>(table, reinterpret_cast<const int*>(index), y, cols);
}
