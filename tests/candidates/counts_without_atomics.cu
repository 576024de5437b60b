// task: histogram
// expect: wrong_output
// reason: mismatch
// case: tiny
// Plain additions: of the lanes of a warp that meet in a bin, one counts.
__global__ void count(const int* values, int* counts, int n, int bins) {
  for (int i = threadIdx.x; i < n; i += 32)
    if (values[i] >= 0 && values[i] < bins) counts[values[i]] += 1;
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  cudaMemsetAsync(counts, 0, bins * sizeof(int), stream);
  count<<<1, 32, 0, stream>>>(values, counts, n, bins);
}
