// Oracle: keys that are ordered like the scores, one block a row to choose, one thread an element
// to copy.
#include <cuda_fp16.h>

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

/// A score as a number above 0 in the same order; the first chunk above all.
__device__ unsigned key_of(float score, int chunk) {
  const unsigned bits = __float_as_uint(score + 0.0f);  // -0 becomes 0
  return chunk == 0 ? ~0u : bits >> 31 ? ~bits : bits | 1u << 31;
}

/// One thread a chunk and head. Sums are exact in f32: see the statement.
__global__ void score(const __half* q, const __half* k, unsigned* keys, int heads, int dim,
                      int chunk, int chunks) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x, h = blockIdx.y;
  if (j >= chunks) return;
  double sum = 0;
  for (int r = 0; r < chunk; ++r)
    for (int d = 0; d < dim; ++d)
      sum += static_cast<double>(__half2float(q[h * dim + d])) *
             __half2float(k[((static_cast<long long>(j) * chunk + r) * heads + h) * dim + d]);
  keys[static_cast<long long>(h) * chunks + j] = key_of(static_cast<float>(sum), j);
}

/// One block a row of the result.
__global__ void gather(const __half* k, const __half* v, const int* sel, __half* kr, __half* vr,
                       int heads, int dim, int chunk, int most) {
  const int row = blockIdx.x, h = blockIdx.y;
  const int from_row = sel[h * most + row / chunk] * chunk + row % chunk;
  const long long from = (static_cast<long long>(from_row) * heads + h) * dim;
  const long long to = (static_cast<long long>(row) * heads + h) * dim;
  for (int d = threadIdx.x; d < dim; d += blockDim.x) {
    kr[to + d] = k[from + d];
    vr[to + d] = v[from + d];
  }
}

extern "C" void solve(const __half* q, const __half* k, const __half* v, int* sel, __half* kr,
                      __half* vr, int length, int heads, int dim, int chunk, int most,
                      cudaStream_t stream) {
  const int chunks = length / chunk;
  unsigned* keys = nullptr;
  int* counts = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&keys),
                  sizeof(unsigned) * static_cast<size_t>(heads) * chunks, stream);
  cudaMallocAsync(reinterpret_cast<void**>(&counts), sizeof(int) * heads, stream);
  score<<<dim3((chunks + 63) / 64, heads), 64, 0, stream>>>(q, k, keys, heads, dim, chunk, chunks);
  select<<<heads, 128, 0, stream>>>(keys, sel, counts, chunks, most);
  gather<<<dim3(most * chunk, heads), 64, 0, stream>>>(k, v, sel, kr, vr, heads, dim, chunk, most);
  cudaFreeAsync(counts, stream);
  cudaFreeAsync(keys, stream);
}
