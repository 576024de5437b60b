// Oracle: keys that are ordered like the scores, one block a row to choose, one thread an element
// to copy.
#include <cuda_bf16.h>

/// The chosen entries of a row, ascending: those with the `most` largest keys above 0, the earlier
/// first where keys are equal. One block a row; its threads count, one of them chooses.
__global__ void select(const unsigned* keys, int* chosen, int* counts, int count, int most) {
  __shared__ int above;
  const unsigned* row = keys + static_cast<long long>(blockIdx.x) * count;
  unsigned threshold = 0;  // the largest that at least `most` keys reach
  for (int bit = 31; bit >= 0; --bit) {
    const unsigned trial = threshold | 1u << bit;
    if (threadIdx.x == 0) above = 0;
    __syncthreads();
    int own = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) own += row[i] >= trial;
    atomicAdd(&above, own);
    __syncthreads();
    if (above >= most) threshold = trial;
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  int larger = 0, taken = 0, equal = 0;
  for (int i = 0; i < count; ++i) larger += row[i] > threshold;
  for (int i = 0; i < count && taken < most; ++i) {
    if (row[i] == 0 || row[i] < threshold) continue;
    if (row[i] == threshold && ++equal > most - larger) continue;
    chosen[static_cast<long long>(blockIdx.x) * most + taken++] = i;
  }
  counts[blockIdx.x] = taken;
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
  const int candidates = length > window ? length - window : 0, rows = batch * heads;
  unsigned* keys = nullptr;
  int* chosen = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&keys),
                  sizeof(unsigned) * static_cast<size_t>(rows) * (candidates + 1), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&chosen),
                  sizeof(int) * static_cast<size_t>(rows) * most, stream);
  if (candidates > 0)
    make_keys<<<dim3((candidates + 127) / 128, heads, batch), 128, 0, stream>>>(
        score, keys, length, heads, candidates, sink);
  select<<<rows, 128, 0, stream>>>(keys, chosen, cnt, candidates, most);
  gather<<<dim3(most, heads, batch), 64, 0, stream>>>(k, v, chosen, cnt, idx, kc, vc, length, heads,
                                                      dim, most);
  cudaFreeAsync(chosen, stream);
  cudaFreeAsync(keys, stream);
}
