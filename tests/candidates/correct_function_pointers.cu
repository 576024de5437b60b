// task: gather
// expect: correct
// Chooses a device function through a pointer at run time.
using Row = float (*)(const float* table, long long start);

__device__ __noinline__ float from_table(const float* table, long long start) {
  return table[start];
}
__device__ __noinline__ float from_nowhere(const float*, long long) { return 0.0f; }
__device__ Row rows[2] = {from_nowhere, from_table};

__global__ void gather(const float* table, const long long* index, float* y, int cols) {
  const long long source = index[blockIdx.x];
  const Row row = rows[source >= 0];
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * static_cast<long long>(cols) + c] = row(table, source * cols + c);
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  gather<<<n, 64, 0, stream>>>(table, index, y, cols);
}
