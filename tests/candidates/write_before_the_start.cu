// task: histogram
// expect: runtime_fault
// reason: illegal_address
// says: counts
// case: outside
// cuda: tampered red_zone
// Does not check values below 0 and counts them before the first bin.
__global__ void count(const int* values, int* counts, int n, int bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n && values[i] < bins) atomicAdd(&counts[values[i]], 1);
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  cudaMemsetAsync(counts, 0, bins * sizeof(int), stream);
  count<<<(n + 255) / 256, 256, 0, stream>>>(values, counts, n, bins);
}
