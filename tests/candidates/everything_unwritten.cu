// task: histogram
// expect: wrong_output
// reason: unwritten
// says: never written
// The kernel computes, but into its scratch.
__global__ void count(const int* values, int* counts, int n, int bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n && values[i] >= 0 && values[i] < bins) atomicAdd(&counts[values[i]], 1);
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  int* scratch = nullptr;
  cudaMalloc(&scratch, bins * sizeof(int));
  cudaMemsetAsync(scratch, 0, bins * sizeof(int), stream);
  count<<<(n + 255) / 256, 256, 0, stream>>>(values, scratch, n, bins);
}
