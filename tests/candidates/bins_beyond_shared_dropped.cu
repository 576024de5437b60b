// task: histogram
// expect: wrong_output
// reason: mismatch
// case: many-bins
// Counts in shared memory and silently drops the bins that do not fit.
__global__ void count(const int* values, int* counts, int n, int bins) {
  __shared__ int local[8192];
  for (int i = threadIdx.x; i < 8192; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    if (values[i] >= 0 && values[i] < min(bins, 8192)) atomicAdd(&local[values[i]], 1);
  __syncthreads();
  for (int i = threadIdx.x; i < bins; i += blockDim.x) counts[i] = i < 8192 ? local[i] : 0;
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  count<<<1, 1024, 0, stream>>>(values, counts, n, bins);
}
