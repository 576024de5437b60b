// task: histogram
// expect: nondeterministic
// reason: repeat_differs
// case: tiny
// Counts in scratch memory that it never clears.
__global__ void count(const int* values, int* counts, int n, int bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n && values[i] >= 0 && values[i] < bins) atomicAdd(&counts[values[i]], 1);
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  int* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), bins * sizeof(int), stream);
  count<<<(n + 255) / 256, 256, 0, stream>>>(values, scratch, n, bins);
  cudaMemcpyAsync(counts, scratch, bins * sizeof(int), cudaMemcpyDeviceToDevice, stream);
  cudaFreeAsync(scratch, stream);
}
