// task: histogram
// expect: record_error
// reason: invalid_argument
// Clears one bin more than there are.
__global__ void count(const int* values, int* counts, int n, int bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n && values[i] >= 0 && values[i] < bins) atomicAdd(&counts[values[i]], 1);
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  cudaMemsetAsync(counts, 0, (bins + 1) * sizeof(int), stream);
  count<<<(n + 255) / 256, 256, 0, stream>>>(values, counts, n, bins);
}
