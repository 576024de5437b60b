// task: gather
// expect: runtime_fault
// reason: illegal_address
// says: table
// case: missing
// cuda: wrong_output mismatch
// Takes -1 for a row of the table, the one before the first.
__global__ void gather(const float* table, const long long* index, float* y, int cols) {
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * cols + c] = table[index[blockIdx.x] * cols + c];
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  gather<<<n, 128, 0, stream>>>(table, index, y, cols);
}
