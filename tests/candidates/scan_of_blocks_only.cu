// task: prefix-sum
// expect: wrong_output
// reason: mismatch
// case: ragged
// Scans each block for itself and never adds the sums of the blocks before.
__global__ void scan(const int* x, int* y, int n) {
  __shared__ int values[256];
  const int i = blockIdx.x * 256 + threadIdx.x;
  values[threadIdx.x] = i < n ? x[i] : 0;
  __syncthreads();
  int sum = 0;
  for (int j = 0; j <= threadIdx.x; ++j) sum += values[j];
  if (i < n) y[i] = sum;
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  scan<<<(n + 255) / 256, 256, 0, stream>>>(x, y, n);
}
