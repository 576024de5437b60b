// Specialist: a block takes a run of events of one channel and goes through the channels j. The
// events of j that any of the run can meet lie side by side; they are staged in shared memory, with
// their counts. A thread owns a few consecutive events, finds its first partner once by bisection
// and then moves on from event to event, since partners ascend as well. Lags are counted in shared
// memory and added to the result once a block and channel. The totals of phi follow from the few
// events at the end of the grid: the sum of all counts less those that the lag moves beyond it.
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 8;
constexpr int kRun = kThreads * kPerThread;
constexpr int kStaged = 5120;  // events of j; more are read from global memory

struct Problem {
  const int* __restrict__ positions;
  const unsigned char* __restrict__ counts;
  int* __restrict__ phi;
  int* __restrict__ pairs;
  int channels, events, grid, lags;
};

/// First of the ascending values that exceeds `bound`.
__device__ int first_above(const int* values, int count, int bound) {
  int low = 0, high = count;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (values[middle] <= bound)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// Adds the pairs of this thread's events with those of `positions`.
__device__ void add_pairs(const Problem& p, const int* positions, const unsigned char* counts,
                          int partners, const int (&own)[kPerThread],
                          const int (&weights)[kPerThread], int* lag_sums) {
  int first = -1;
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    if (weights[k] == 0) continue;  // beyond the last event
    if (first < 0) first = first_above(positions, partners, own[k] - p.lags);
    while (first < partners && positions[first] <= own[k] - p.lags) ++first;
    for (int b = first; b < partners && positions[b] <= own[k]; ++b)
      atomicAdd(lag_sums + own[k] - positions[b], weights[k] * counts[b]);
  }
}

__global__ void __launch_bounds__(kThreads) correlate(const Problem p) {
  extern __shared__ int lag_sums[];
  __shared__ int staged_positions[kStaged];
  __shared__ unsigned char staged_counts[kStaged];
  const int i = blockIdx.y, start = blockIdx.x * kRun, end = min(start + kRun, p.events);
  const long long of_i = static_cast<long long>(i) * p.events;
  int own[kPerThread], weights[kPerThread];
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    const int e = start + static_cast<int>(threadIdx.x) * kPerThread + k;
    own[k] = e < end ? p.positions[of_i + e] : 0;
    weights[k] = e < end ? p.counts[of_i + e] : 0;
  }
  const int earliest = p.positions[of_i + start], latest = p.positions[of_i + end - 1];

  for (int j = 0; j < p.channels; ++j) {
    const int* positions = p.positions + static_cast<long long>(j) * p.events;
    const unsigned char* counts = p.counts + static_cast<long long>(j) * p.events;
    const int low = first_above(positions, p.events, earliest - p.lags);
    const int partners = first_above(positions, p.events, latest) - low;
    for (int t = threadIdx.x; t < p.lags; t += kThreads) lag_sums[t] = 0;
    if (partners <= kStaged)
      for (int b = threadIdx.x; b < partners; b += kThreads) {
        staged_positions[b] = positions[low + b];
        staged_counts[b] = counts[low + b];
      }
    __syncthreads();
    if (partners <= kStaged)
      add_pairs(p, staged_positions, staged_counts, partners, own, weights, lag_sums);
    else
      add_pairs(p, positions + low, counts + low, partners, own, weights, lag_sums);
    __syncthreads();
    int* target = p.pairs + (static_cast<long long>(i) * p.channels + j) * p.lags;
    for (int t = threadIdx.x; t < p.lags; t += kThreads)
      if (lag_sums[t] != 0) atomicAdd(target + t, lag_sums[t]);
    __syncthreads();  // the sums have been read
  }
}

/// One block a channel. A lag of t loses the events on the last t points.
__global__ void __launch_bounds__(kThreads) count_events(const Problem p) {
  extern __shared__ int lost[];  // by the smallest lag that loses them, less 1
  __shared__ int total;
  const int* positions = p.positions + static_cast<long long>(blockIdx.x) * p.events;
  const unsigned char* counts = p.counts + static_cast<long long>(blockIdx.x) * p.events;
  for (int t = threadIdx.x; t < p.lags; t += kThreads) lost[t] = 0;
  if (threadIdx.x == 0) total = 0;
  __syncthreads();
  int sum = 0;
  for (int e = threadIdx.x; e < p.events; e += kThreads) {
    sum += counts[e];
    if (const int from_end = p.grid - 1 - positions[e]; from_end < p.lags)
      atomicAdd(lost + from_end, counts[e]);
  }
  atomicAdd(&total, sum);
  __syncthreads();
  if (threadIdx.x != 0) return;
  int left = total;
  for (int t = 0; t < p.lags; ++t) {
    p.phi[blockIdx.x * p.lags + t] = left;
    left -= lost[t];
  }
}

}  // namespace

extern "C" void solve(const int* positions, const unsigned char* counts, int* phi, int* pairs,
                      int channels, int events, int grid, int lags, cudaStream_t stream) {
  const Problem p{positions, counts, phi, pairs, channels, events, grid, lags};
  const size_t sums = static_cast<size_t>(channels) * channels * lags;
  cudaMemsetAsync(pairs, 0, sizeof(int) * sums, stream);
  correlate<<<dim3((events + kRun - 1) / kRun, channels), kThreads, sizeof(int) * lags, stream>>>(
      p);
  count_events<<<channels, kThreads, sizeof(int) * lags, stream>>>(p);
}
