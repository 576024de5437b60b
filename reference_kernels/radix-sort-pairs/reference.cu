// Oracle: merge sort. In each round every element finds its place in the union of its run and the
// neighbouring one by counting, with a binary search, how many of the neighbour's come before it.
struct Pairs {
  const unsigned* keys;
  const unsigned* values;
};

__global__ void merge_runs(const Pairs from, unsigned* keys, unsigned* values, long long n,
                           long long run) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const bool left = i / run % 2 == 0;
  const long long start = i / run * run;  // of this run
  const long long other = left ? start + run : start - run;
  const unsigned key = from.keys[i];
  long long low = min(other, n), high = min(other + run, n);
  const long long other_start = low;
  while (low < high) {
    const long long middle = (low + high) / 2;
    const bool before = left ? from.keys[middle] < key : from.keys[middle] <= key;
    if (before)
      low = middle + 1;
    else
      high = middle;
  }
  const long long place = min(start, other) + (i - start) + (low - other_start);
  keys[place] = key;
  values[place] = from.values[i];
}

extern "C" void solve(const unsigned int* keys, const unsigned int* values,
                      unsigned int* sorted_keys, unsigned int* sorted_values, int n,
                      cudaStream_t stream) {
  unsigned* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(unsigned) * 4 * n, stream);
  unsigned* at[2] = {scratch, scratch + 2LL * n};
  Pairs from{keys, values};
  int turn = 0;
  for (long long run = 1; run < n; run *= 2, turn = 1 - turn) {
    merge_runs<<<(n - 1) / 256 + 1, 256, 0, stream>>>(from, at[turn], at[turn] + n, n, run);
    from = Pairs{at[turn], at[turn] + n};
  }
  cudaMemcpyAsync(sorted_keys, from.keys, sizeof(unsigned) * n, cudaMemcpyDeviceToDevice, stream);
  cudaMemcpyAsync(sorted_values, from.values, sizeof(unsigned) * n, cudaMemcpyDeviceToDevice,
                  stream);
  cudaFreeAsync(scratch, stream);
}
