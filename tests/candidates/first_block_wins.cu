// task: gather
// expect: nondeterministic
// reason: repeat_differs
// case: small
// cuda: nondeterministic repeat_differs | wrong_output mismatch
// The block that comes first takes one row from the wrong place.
__device__ int taken;

__global__ void gather(const float* table, const long long* index, float* y, int cols) {
  __shared__ int first;
  if (threadIdx.x == 0) first = atomicExch(&taken, 1) == 0;
  __syncthreads();
  const long long source = first ? 0 : index[blockIdx.x];
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * cols + c] = source < 0 ? 0.0f : table[source * cols + c];
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  gather<<<n, 128, 0, stream>>>(table, index, y, cols);
}
