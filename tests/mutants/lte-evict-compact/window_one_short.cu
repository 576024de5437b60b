// task: lte-evict-compact
// expect: wrong_output
// reason: mismatch
// case: all-chosen
// Has one more candidate.
#include <cuda_bf16.h>

constexpr int kSelectThreads = 256;

/// The chosen entries of a row, ascending: those with the `most` largest keys above 0, the earlier
/// first where keys are equal. One block a row: the threshold bit by bit, then a scan.
__global__ void select(const unsigned* keys, int* chosen, int* counts, int count, int most) {
  __shared__ int above, taken, equal, places[kSelectThreads], ties[kSelectThreads];
  const unsigned* row = keys + static_cast<long long>(blockIdx.x) * count;
  const int thread = threadIdx.x;
  unsigned threshold = 0;
  int larger = 0;
  for (int bit = 31; bit >= -1; --bit) {  // -1: how many are larger than the threshold
    const unsigned trial = bit < 0 ? threshold : threshold | 1u << bit;
    if (thread == 0) above = 0;
    __syncthreads();
    int own = 0;
    for (int i = thread; i < count; i += blockDim.x) own += bit < 0 ? row[i] > threshold : row[i] >= trial;
    atomicAdd(&above, own);
    __syncthreads();
    if (bit < 0)
      larger = above;
    else if (above >= most)
      threshold = trial;
    __syncthreads();
  }
  if (thread == 0) taken = equal = 0;
  for (int start = 0; start < count; start += blockDim.x) {
    const unsigned key = start + thread < count ? row[start + thread] : 0;
    const bool tie = key != 0 && key == threshold;
    ties[thread] = tie;
    __syncthreads();
    int earlier = equal;
    for (int t = 0; t < thread; ++t) earlier += ties[t];
    const bool take = key != 0 && (key > threshold || (tie && earlier < most - larger));
    places[thread] = take;
    __syncthreads();
    int place = taken;
    for (int t = 0; t < thread; ++t) place += places[t];
    if (take) chosen[static_cast<long long>(blockIdx.x) * most + place] = start + thread;
    __syncthreads();
    if (thread == blockDim.x - 1) {
      taken = place + take;
      equal = earlier + tie;
    }
    __syncthreads();
  }
  if (thread == 0) counts[blockIdx.x] = taken;
}

/// Keys of the tokens outside the window: scores above 0 as they are, sinks above all, 0 for others.
__global__ void make_keys(const float* score, unsigned* keys, int length, int heads, int candidates,
                          int sink) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x, h = blockIdx.y, b = blockIdx.z;
  if (t >= candidates) return;
  const float own = score[(static_cast<long long>(b) * length + t) * heads + h];
  const unsigned key = t < sink ? ~0u : own > 0 ? __float_as_uint(own) : 0;
  keys[(static_cast<long long>(b) * heads + h) * candidates + t] = key;
}

/// One block a slot of the result; parts: vectors of a row.
__global__ void gather(const __nv_bfloat16* k, const __nv_bfloat16* v, const int* chosen, const int* counts, int* idx,
                       __nv_bfloat16* kc, __nv_bfloat16* vc, int length, int heads, int parts, int most) {
  const int m = blockIdx.x, h = blockIdx.y, b = blockIdx.z;
  const long long row = static_cast<long long>(b) * heads + h;
  const bool filled = m < counts[row];
  const int t = filled ? chosen[row * most + m] : length;
  if (threadIdx.x == 0) idx[row * most + m] = t;
  const long long from = ((static_cast<long long>(b) * length + t) * heads + h) * parts;
  const long long to = ((static_cast<long long>(b) * most + m) * heads + h) * parts;
  for (int i = threadIdx.x; i < parts; i += blockDim.x) {
    kc[to + i] = filled ? k[from + i] : __float2bfloat16(0.0f);
    vc[to + i] = filled ? v[from + i] : __float2bfloat16(0.0f);
  }
}

extern "C" void solve(const float* score, const __nv_bfloat16* k, const __nv_bfloat16* v, int* idx,
                      int* cnt, __nv_bfloat16* kc, __nv_bfloat16* vc, int batch, int length,
                      int heads, int dim, int window, int most, int sink, cudaStream_t stream) {
  const int candidates = length > window ? length - window + 1 : 0, rows = batch * heads;
  unsigned* keys = nullptr;
  int* chosen = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&keys),
                  sizeof(unsigned) * static_cast<size_t>(rows) * (candidates + 1), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&chosen),
                  sizeof(int) * static_cast<size_t>(rows) * most, stream);
  if (candidates > 0)
    make_keys<<<dim3((candidates + 127) / 128, heads, batch), 128, 0, stream>>>(
        score, keys, length, heads, candidates, sink);
  select<<<rows, 256, 0, stream>>>(keys, chosen, cnt, candidates, most);
  gather<<<dim3(most, heads, batch), 64, 0, stream>>>(k, v, chosen, cnt, idx, kc, vc, length, heads,
                                                      dim, most);
  cudaFreeAsync(chosen, stream);
  cudaFreeAsync(keys, stream);
}
