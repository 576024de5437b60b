// Textbook: one thread a key goes through the centroids; sums by atomics in global memory.
#include <cuda_bf16.h>

/// One thread a key.
__global__ void assign(const __nv_bfloat16* key, const __nv_bfloat16* cen, int* label, int length,
                       int dim, int clusters) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x, h = blockIdx.y;
  if (t >= length) return;
  const __nv_bfloat16* own = key + (static_cast<long long>(h) * length + t) * dim;
  float least = INFINITY;
  int best = 0;
  for (int c = 0; c < clusters; ++c) {
    const __nv_bfloat16* centre = cen + (static_cast<long long>(h) * clusters + c) * dim;
    float squares = 0;
    for (int d = 0; d < dim; ++d) {
      const float gap = static_cast<float>(__bfloat162float(own[d])) - __bfloat162float(centre[d]);
      squares += gap * gap;
    }
    if (squares < least) {
      least = squares;
      best = c;
    }
  }
  label[static_cast<long long>(h) * length + t] = best;
}

/// One block a key.
__global__ void add_up(const __nv_bfloat16* key, const int* label, float* sums, int* cnt, int length,
                       int dim, int clusters) {
  const int t = blockIdx.x, h = blockIdx.y;
  const long long own = static_cast<long long>(h) * length + t;
  const long long cluster = static_cast<long long>(h) * clusters + label[own];
  for (int d = threadIdx.x; d < dim; d += blockDim.x)
    atomicAdd(sums + cluster * dim + d, static_cast<float>(__bfloat162float(key[own * dim + d])));
  if (threadIdx.x == 0) atomicAdd(cnt + cluster, 1);
}

/// One block a cluster.
__global__ void divide(const __nv_bfloat16* cen, const float* sums, const int* cnt, float* newcen,
                       int dim) {
  const long long first = static_cast<long long>(blockIdx.x) * dim;
  const int count = cnt[blockIdx.x];
  for (int d = threadIdx.x; d < dim; d += blockDim.x)
    newcen[first + d] = count > 0 ? static_cast<float>(sums[first + d] / count)
                                  : __bfloat162float(cen[first + d]);
}

extern "C" void solve(const __nv_bfloat16* key, const __nv_bfloat16* cen, int* label, int* cnt,
                      float* newcen, int heads, int length, int dim, int clusters,
                      cudaStream_t stream) {
  const size_t elements = static_cast<size_t>(heads) * clusters * dim;
  float* sums = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&sums), sizeof(float) * elements, stream);
  cudaMemsetAsync(sums, 0, sizeof(float) * elements, stream);
  cudaMemsetAsync(cnt, 0, sizeof(int) * heads * clusters, stream);
  assign<<<dim3((length + 63) / 64, heads), 64, 0, stream>>>(key, cen, label, length, dim, clusters);
  add_up<<<dim3(length, heads), 64, 0, stream>>>(key, label, sums, cnt, length, dim, clusters);
  divide<<<heads * clusters, 64, 0, stream>>>(cen, sums, cnt, newcen, dim);
  cudaFreeAsync(sums, stream);
}
