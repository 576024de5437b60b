// Textbook: each block scans 512 elements in shared memory in log2(512) steps (Hillis and Steele
// 1986), the sums of the blocks are scanned in the same way, level by level, and added.
constexpr int kThreads = 512;

__global__ void scan_blocks(const int* x, int* y, int* block_sums, int n) {
  __shared__ int values[kThreads];
  const int thread = threadIdx.x;
  const long long i = static_cast<long long>(blockIdx.x) * kThreads + thread;
  values[thread] = i < n ? x[i] : 0;
  __syncthreads();
  for (int distance = 1; distance < kThreads; distance *= 2) {
    const int before = thread >= distance ? values[thread - distance] : 0;
    __syncthreads();
    values[thread] += before;
    __syncthreads();
  }
  if (i < n) y[i] = values[thread];
  if (thread == kThreads - 1) block_sums[blockIdx.x] = values[thread];
}

__global__ void add_sums_before(int* y, const int* block_sums, int n) {
  const long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n && blockIdx.x > 0) y[i] += block_sums[blockIdx.x - 1];
}

static void scan(const int* x, int* y, int n, cudaStream_t stream) {
  const int blocks = (n - 1) / kThreads + 1;
  int* block_sums = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&block_sums), blocks * sizeof(int), stream);
  scan_blocks<<<blocks, kThreads, 0, stream>>>(x, y, block_sums, n);
  if (blocks > 1) {
    scan(block_sums, block_sums, blocks, stream);
    add_sums_before<<<blocks, kThreads, 0, stream>>>(y, block_sums, n);
  }
  cudaFreeAsync(block_sums, stream);
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) { scan(x, y, n, stream); }
