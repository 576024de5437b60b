// Oracle: one thread a pair of channels and a lag, which walks over the events of both.
__global__ void count_pairs(const int* positions, const unsigned char* counts, int* pairs,
                            int channels, int events, int lags) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= channels * channels * lags) return;
  const int t = index % lags, j = index / lags % channels, i = index / lags / channels;
  const long long of_i = static_cast<long long>(i) * events;
  const long long of_j = static_cast<long long>(j) * events;
  int sum = 0;
  for (int a = 0, b = 0; a < events && b < events;) {
    const int want = positions[of_i + a] - t, have = positions[of_j + b];
    if (want == have) sum += counts[of_i + a] * counts[of_j + b];
    if (want <= have) ++a;
    if (have <= want) ++b;
  }
  pairs[index] = sum;
}

__global__ void count_events(const int* positions, const unsigned char* counts, int* phi,
                             int channels, int events, int grid, int lags) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= channels * lags) return;
  const long long of_j = static_cast<long long>(index / lags) * events;
  int sum = 0;
  for (int e = 0; e < events; ++e)
    if (positions[of_j + e] + index % lags < grid) sum += counts[of_j + e];
  phi[index] = sum;
}

extern "C" void solve(const int* positions, const unsigned char* counts, int* phi, int* pairs,
                      int channels, int events, int grid, int lags, cudaStream_t stream) {
  const int sums = channels * channels * lags;
  count_pairs<<<(sums + 63) / 64, 64, 0, stream>>>(positions, counts, pairs, channels, events,
                                                   lags);
  count_events<<<(channels * lags + 63) / 64, 64, 0, stream>>>(positions, counts, phi, channels,
                                                               events, grid, lags);
}
