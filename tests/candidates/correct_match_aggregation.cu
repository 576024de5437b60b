// task: histogram
// expect: correct
// Lanes of a warp with equal values elect one that counts for all, by __match_any_sync.
__global__ void count(const int* values, int* counts, int n, int bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int value = i < n ? values[i] : -1;
  const unsigned equal = __match_any_sync(~0u, value);
  if (value >= 0 && value < bins && __ffs(equal) - 1 == threadIdx.x % 32)
    atomicAdd(&counts[value], __popc(equal));
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  cudaMemsetAsync(counts, 0, bins * sizeof(int), stream);
  count<<<(n + 255) / 256, 256, 0, stream>>>(values, counts, n, bins);
}
