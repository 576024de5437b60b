// Textbook: one thread a value, one atomic addition in global memory.
__global__ void clear(int* counts, int bins) {
  const int bin = blockIdx.x * blockDim.x + threadIdx.x;
  if (bin < bins) counts[bin] = 0;
}

__global__ void count(const int* values, int* counts, int n, int bins) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const int value = values[i];
  if (value >= 0 && value < bins) atomicAdd(&counts[value], 1);
}

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  clear<<<(bins + 255) / 256, 256, 0, stream>>>(counts, bins);
  count<<<(n + 255u) / 256, 256, 0, stream>>>(values, counts, n, bins);
}
