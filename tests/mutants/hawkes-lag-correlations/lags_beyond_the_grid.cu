// task: hawkes-lag-correlations
// expect: wrong_output
// reason: mismatch
// case: dense
// Counts all events at every lag.
__global__ void add_pairs(const int* positions, const unsigned char* counts, int* pairs,
                          int channels, int events, int lags) {
  const int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= events) return;
  const int i = blockIdx.y, j = blockIdx.z;
  const int* of_j = positions + static_cast<long long>(j) * events;
  const long long own = static_cast<long long>(i) * events + e;
  const int position = positions[own];
  int low = 0, high = events;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (of_j[middle] <= position - lags)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < events && of_j[low] <= position; ++low)
    atomicAdd(pairs + (static_cast<long long>(i) * channels + j) * lags + position - of_j[low],
              counts[own] * counts[static_cast<long long>(j) * events + low]);
}

__global__ void count_events(const int* positions, const unsigned char* counts, int* phi,
                             int events, int grid, int lags) {
  const long long of_j = static_cast<long long>(blockIdx.y) * events;
  const int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= lags) return;
  int sum = 0;
  for (int e = 0; e < events; ++e) sum += counts[of_j + e];
  phi[blockIdx.y * lags + t] = sum;
}

extern "C" void solve(const int* positions, const unsigned char* counts, int* phi, int* pairs,
                      int channels, int events, int grid, int lags, cudaStream_t stream) {
  const size_t sums = static_cast<size_t>(channels) * channels * lags;
  cudaMemsetAsync(pairs, 0, sizeof(int) * sums, stream);
  add_pairs<<<dim3((events + 127) / 128, channels, channels), 128, 0, stream>>>(
      positions, counts, pairs, channels, events, lags);
  count_events<<<dim3((lags + 63) / 64, channels), 64, 0, stream>>>(positions, counts, phi, events,
                                                                    grid, lags);
}
