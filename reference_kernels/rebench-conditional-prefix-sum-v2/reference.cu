// Oracle: one thread walks over each run of values; one thread adds up the runs, first their
// numbers of positives, then the sums of what they choose.
constexpr int kRun = 1024;

__global__ void count_positives(const int* x, unsigned* counts, int n, int runs) {
  const int run = blockIdx.x * blockDim.x + threadIdx.x;
  if (run >= runs) return;
  unsigned count = 0;
  for (long long i = static_cast<long long>(run) * kRun; i < min((run + 1LL) * kRun, 0LL + n); ++i)
    count += x[i] > 0;
  counts[run] = count;
}

__global__ void make_exclusive(unsigned* values, int runs) {
  unsigned sum = 0;
  for (int run = 0; run < runs; ++run) {
    const unsigned value = values[run];
    values[run] = sum;
    sum += value;
  }
}

/// With y: writes the running sums, which start from sums[run]. Without: writes the run's own sum.
__global__ void add_chosen(const int* x, const unsigned* counts, unsigned* sums, int* y, int n,
                           int runs) {
  const int run = blockIdx.x * blockDim.x + threadIdx.x;
  if (run >= runs) return;
  unsigned count = counts[run], sum = y != nullptr ? sums[run] : 0;
  for (long long i = static_cast<long long>(run) * kRun; i < min((run + 1LL) * kRun, 0LL + n);
       ++i) {
    if (count % 3 == 1) sum += static_cast<unsigned>(x[i]);
    count += x[i] > 0;
    if (y != nullptr) y[i] = static_cast<int>(sum);
  }
  if (y == nullptr) sums[run] = sum;
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  const int runs = (n - 1) / kRun + 1, blocks = (runs + 63) / 64;
  unsigned* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(unsigned) * 2 * runs, stream);
  unsigned *counts = scratch, *sums = scratch + runs;
  count_positives<<<blocks, 64, 0, stream>>>(x, counts, n, runs);
  make_exclusive<<<1, 1, 0, stream>>>(counts, runs);
  add_chosen<<<blocks, 64, 0, stream>>>(x, counts, sums, nullptr, n, runs);
  make_exclusive<<<1, 1, 0, stream>>>(sums, runs);
  add_chosen<<<blocks, 64, 0, stream>>>(x, counts, sums, y, n, runs);
  cudaFreeAsync(scratch, stream);
}
