// task: gather
// expect: runtime_fault
// reason: illegal_address
// A scratch pointer that was never allocated.
__global__ void gather(const float* table, const long long* index, float* y, int cols, int* done) {
  const long long source = index[blockIdx.x];
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * cols + c] = source < 0 ? 0.0f : table[source * cols + c];
  if (threadIdx.x == 0) atomicAdd(done, 1);
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  int* done = nullptr;
  gather<<<n, 128, 0, stream>>>(table, index, y, cols, done);
}
