// task: prefix-sum
// expect: correct
// Reduce, then scan: few blocks with a stretch each, sums in scratch from cudaMallocAsync, no
// waiting between blocks.
constexpr int kThreads = 256, kPerThread = 4, kTile = kThreads * kPerThread;

__device__ int block_scan(int value, int* total) {
  __shared__ int of_warp[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(~0u, value, distance);
    if (lane >= distance) value += before;
  }
  __syncthreads();
  if (lane == 31) of_warp[warp] = value;
  __syncthreads();
  *total = 0;
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w < warp) value += of_warp[w];
    *total += of_warp[w];
  }
  return value;
}

__global__ void reduce(const int* x, int* sums, int n, int stretch) {
  const int begin = blockIdx.x * stretch, end = min(n, begin + stretch);
  int sum = 0, total;
  for (int i = begin + threadIdx.x; i < end; i += kThreads) sum += x[i];
  block_scan(sum, &total);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

__global__ void scan(const int* x, const int* sums, int* y, int n, int stretch) {
  const int begin = blockIdx.x * stretch, end = min(n, begin + stretch);
  int before = 0, carry, total;
  for (int b = threadIdx.x; b < blockIdx.x; b += kThreads) before += sums[b];
  block_scan(before, &carry);
  for (int start = begin; start < end; start += kTile) {
    const int first = start + threadIdx.x * kPerThread;
    int values[kPerThread], sum = 0;
    for (int k = 0; k < kPerThread; ++k) values[k] = sum += first + k < end ? x[first + k] : 0;
    const int offset = carry + block_scan(sum, &total) - sum;
    for (int k = 0; k < kPerThread; ++k)
      if (first + k < end) y[first + k] = offset + values[k];
    carry += total;
  }
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  const int tiles = (n - 1) / kTile + 1, per_block = (tiles - 1) / 264 + 1;
  const int blocks = (tiles - 1) / per_block + 1, stretch = per_block * kTile;
  int* sums = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&sums), blocks * sizeof(int), stream);
  reduce<<<blocks, kThreads, 0, stream>>>(x, sums, n, stretch);
  scan<<<blocks, kThreads, 0, stream>>>(x, sums, y, n, stretch);
  cudaFreeAsync(sums, stream);
}
