// task: triforce-retrieval-build
// expect: wrong_output
// reason: mismatch
// case: ragged
// Chooses the first chunk only if its score is high.
#include <cuda_fp16.h>

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

/// A score as a number above 0 in the same order; the first chunk above all.
__device__ unsigned key_of(float score, int chunk) {
  const unsigned bits = __float_as_uint(score + 0.0f);  // -0 becomes 0
  return bits >> 31 ? ~bits : bits | 1u << 31;
}

/// One thread a chunk and head. Sums are exact in f32: see the statement.
__global__ void score(const __half* q, const __half* k, unsigned* keys, int heads, int dim,
                      int chunk, int chunks) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x, h = blockIdx.y;
  if (j >= chunks) return;
  float sum = 0;
  for (int r = 0; r < chunk; ++r)
    for (int d = 0; d < dim; ++d)
      sum += static_cast<float>(__half2float(q[h * dim + d])) *
             __half2float(k[((static_cast<long long>(j) * chunk + r) * heads + h) * dim + d]);
  keys[static_cast<long long>(h) * chunks + j] = key_of(sum, j);
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
  select<<<heads, 256, 0, stream>>>(keys, sel, counts, chunks, most);
  gather<<<dim3(most * chunk, heads), 64, 0, stream>>>(k, v, sel, kr, vr, heads, dim, chunk, most);
  cudaFreeAsync(counts, stream);
  cudaFreeAsync(keys, stream);
}
