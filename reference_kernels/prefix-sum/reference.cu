// Oracle: one thread sums a stretch of 1024 elements, one thread adds up the sums of the stretches,
// and one thread a stretch writes the result. 64-bit sums.
constexpr int kStretch = 1024;

__global__ void sum_stretches(const int* x, long long* sums, int n, int stretches) {
  const int stretch = blockIdx.x * blockDim.x + threadIdx.x;
  if (stretch >= stretches) return;
  const int begin = stretch * kStretch, end = min(n, begin + kStretch);
  long long sum = 0;
  for (int i = begin; i < end; ++i) sum += x[i];
  sums[stretch] = sum;
}

/// sums[s] becomes the sum of all stretches before s.
__global__ void sums_before(long long* sums, int stretches) {
  long long before = 0;
  for (int stretch = 0; stretch < stretches; ++stretch) {
    const long long sum = sums[stretch];
    sums[stretch] = before;
    before += sum;
  }
}

__global__ void write(const int* x, const long long* before, int* y, int n, int stretches) {
  const int stretch = blockIdx.x * blockDim.x + threadIdx.x;
  if (stretch >= stretches) return;
  const int begin = stretch * kStretch, end = min(n, begin + kStretch);
  long long sum = before[stretch];
  for (int i = begin; i < end; ++i) {
    sum += x[i];
    y[i] = static_cast<int>(sum);
  }
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  const int stretches = (n - 1) / kStretch + 1;
  const int blocks = (stretches + 63) / 64;
  long long* sums = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&sums), stretches * sizeof(long long), stream);
  sum_stretches<<<blocks, 64, 0, stream>>>(x, sums, n, stretches);
  sums_before<<<1, 1, 0, stream>>>(sums, stretches);
  write<<<blocks, 64, 0, stream>>>(x, sums, y, n, stretches);
  cudaFreeAsync(sums, stream);
}
