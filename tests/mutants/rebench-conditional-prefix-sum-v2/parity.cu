// task: rebench-conditional-prefix-sum-v2
// expect: wrong_output
// reason: mismatch
// Chooses after an odd number of positives.
constexpr int kBlock = 512;

__global__ void scan_blocks(int* values, int* block_sums, int n) {
  __shared__ int sums[kBlock];
  const long long i = static_cast<long long>(blockIdx.x) * kBlock + threadIdx.x;
  sums[threadIdx.x] = i < n ? values[i] : 0;
  __syncthreads();
  for (int step = 1; step < kBlock; step *= 2) {
    const int before = threadIdx.x >= step ? sums[threadIdx.x - step] : 0;
    __syncthreads();
    sums[threadIdx.x] += before;
    __syncthreads();
  }
  if (i < n) values[i] = sums[threadIdx.x];
  if (threadIdx.x == kBlock - 1) block_sums[blockIdx.x] = sums[threadIdx.x];
}

__global__ void add_blocks(int* values, const int* block_sums, int n) {
  const long long i = static_cast<long long>(blockIdx.x) * kBlock + threadIdx.x;
  if (i < n && blockIdx.x > 0) values[i] += block_sums[blockIdx.x - 1];
}

__global__ void flag_positives(const int* x, int* flags, int n) {
  const long long i = static_cast<long long>(blockIdx.x) * kBlock + threadIdx.x;
  if (i < n) flags[i] = x[i] > 0;
}

/// counts: of positives up to and with each value.
__global__ void choose(const int* x, const int* counts, int* y, int n) {
  const long long i = static_cast<long long>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= n) return;
  const int before = counts[i] - (x[i] > 0);
  y[i] = before % 2 == 1 ? x[i] : 0;
}

void inclusive_scan(int* values, int n, cudaStream_t stream) {
  const int blocks = (n - 1) / kBlock + 1;
  int* block_sums = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&block_sums), sizeof(int) * blocks, stream);
  scan_blocks<<<blocks, kBlock, 0, stream>>>(values, block_sums, n);
  if (blocks > 1) {
    inclusive_scan(block_sums, blocks, stream);
    add_blocks<<<blocks, kBlock, 0, stream>>>(values, block_sums, n);
  }
  cudaFreeAsync(block_sums, stream);
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  const int blocks = (n - 1) / kBlock + 1;
  int* counts = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&counts), sizeof(int) * n, stream);
  flag_positives<<<blocks, kBlock, 0, stream>>>(x, counts, n);
  inclusive_scan(counts, n, stream);
  choose<<<blocks, kBlock, 0, stream>>>(x, counts, y, n);
  inclusive_scan(y, n, stream);
  cudaFreeAsync(counts, stream);
}
