// Specialist: each block counts in shared memory and adds its counts to the result once, at the
// end. Where there is room, each bin has several counters side by side and a lane uses the one of
// its own number: with 32 of them every lane has a bank to itself, so that equal values, the worst
// case otherwise, cost no more than different ones. Bins that do not fit into shared memory are
// counted in global memory.
namespace {

constexpr int kThreads = 512;
constexpr int kVectors = 4;              // int4 in flight per thread
constexpr int kCopiesBytes = 64 << 10;   // shared memory that several counters per bin may take
constexpr int kSharedBytes = 227 << 10;  // the most a block can have on sm_90

/// Calls count(value) for this thread's share of the values.
template <typename Count>
__device__ void for_each_value(const int* __restrict__ values, int n, Count count) {
  const int4* vectors = reinterpret_cast<const int4*>(values);
  const long long total = n / 4;
  const long long stride = static_cast<long long>(gridDim.x) * kThreads;
  const long long thread = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
  for (long long start = thread; start < total; start += stride * kVectors) {
    int4 loaded[kVectors];
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      loaded[v] = start + v * stride < total ? __ldcs(vectors + start + v * stride)
                                             : make_int4(-1, -1, -1, -1);
#pragma unroll
    for (const int4& four : loaded) {
      count(four.x);
      count(four.y);
      count(four.z);
      count(four.w);
    }
  }
  if (const long long i = total * 4 + thread; i < n) count(values[i]);
}

__global__ void __launch_bounds__(kThreads)
    count_in_shared(const int* __restrict__ values, int* __restrict__ counts, int n, int bins,
                    int copies) {
  extern __shared__ int counters[];  // [bins][copies]
  for (int i = threadIdx.x; i < bins * copies; i += kThreads) counters[i] = 0;
  __syncthreads();

  int* mine = counters + threadIdx.x % copies;
  for_each_value(values, n, [&](int value) {
    if (static_cast<unsigned>(value) < static_cast<unsigned>(bins))
      atomicAdd(mine + value * copies, 1);
  });
  __syncthreads();

  for (int bin = threadIdx.x; bin < bins; bin += kThreads) {
    int sum = 0;
    for (int copy = 0; copy < copies; ++copy)  // each lane from another copy on: no bank conflicts
      sum += counters[bin * copies + (copy + threadIdx.x) % copies];
    if (sum != 0) atomicAdd(counts + bin, sum);
  }
}

__global__ void __launch_bounds__(kThreads)
    count_in_global(const int* __restrict__ values, int* __restrict__ counts, int n, int bins) {
  for_each_value(values, n, [&](int value) {
    if (static_cast<unsigned>(value) < static_cast<unsigned>(bins)) atomicAdd(counts + value, 1);
  });
}

/// As many blocks as the device holds at once, but no more than there is work for.
template <typename Kernel>
int blocks_for(Kernel kernel, int shared_bytes, int n) {
  int device = 0, multiprocessors = 1, per_multiprocessor = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_multiprocessor, kernel, kThreads,
                                                shared_bytes);
  const int useful = (n - 1) / (kThreads * kVectors * 4) + 1;
  return min(useful, multiprocessors * max(per_multiprocessor, 1));
}

}  // namespace

extern "C" void solve(const int* values, int* counts, int n, int bins, cudaStream_t stream) {
  cudaMemsetAsync(counts, 0, bins * sizeof(int), stream);
  const long long one_copy = static_cast<long long>(bins) * sizeof(int);
  if (one_copy > kSharedBytes) {
    const int blocks = blocks_for(count_in_global, 0, n);
    count_in_global<<<blocks, kThreads, 0, stream>>>(values, counts, n, bins);
    return;
  }
  int copies = 32;
  while (copies > 1 && copies * one_copy > kCopiesBytes) copies /= 2;
  const int shared_bytes = static_cast<int>(copies * one_copy);
  cudaFuncSetAttribute(count_in_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  const int blocks = blocks_for(count_in_shared, shared_bytes, n);
  count_in_shared<<<blocks, kThreads, shared_bytes, stream>>>(values, counts, n, bins, copies);
}
