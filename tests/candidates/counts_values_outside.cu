// task: histogram
// expect: wrong_output
// reason: mismatch
// case: outside
// Puts values outside the range into the first and the last bin.
__global__ void count(const int* values, int* counts, int n, int bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(&counts[min(max(values[i], 0), bins - 1)], 1);
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  cudaMemsetAsync(counts, 0, bins * sizeof(int), stream);
  count<<<(n + 255) / 256, 256, 0, stream>>>(values, counts, n, bins);
}
