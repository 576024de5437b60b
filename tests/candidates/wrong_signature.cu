// task: gather
// expect: compile_error
// reason: wrong_signature
// says: long long
// Takes the indices as int, the list is long long.
__global__ void gather(const float* table, const int* index, float* y, int cols) {
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * cols + c] = table[index[blockIdx.x] * cols + c];
}

extern "C" void solve(const float* table, const int* index, float* y, int entries, int cols, int n,
                      cudaStream_t stream) {
  gather<<<n, 128, 0, stream>>>(table, index, y, cols);
}
