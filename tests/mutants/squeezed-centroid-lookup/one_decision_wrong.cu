// task: squeezed-centroid-lookup
// expect: wrong_output
// reason: mismatch
// case: tiny
// Decides wrongly about the last key.
#include <cuda_bf16.h>

__device__ float score(const __nv_bfloat16* a, const __nv_bfloat16* b, int dim) {
  float sum = 0;
  for (int d = 0; d < dim; ++d)
    sum += static_cast<float>(__bfloat162float(a[d])) * __bfloat162float(b[d]);
  return sum / sqrtf(static_cast<float>(dim));
}

/// One thread a query: the logarithm of its denominator.
__global__ void denominators(const __nv_bfloat16* q, const __nv_bfloat16* centroids,
                             const int* sizes, float* lse, int rows, int queries, int dim,
                             int clusters) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const long long first = static_cast<long long>(row / queries) * clusters;
  const __nv_bfloat16* query = q + static_cast<long long>(row) * dim;
  float largest = -INFINITY, sum = 0;
  for (int c = 0; c < clusters; ++c) {
    const float s = score(query, centroids + (first + c) * dim, dim);
    const float now = max(largest, s);
    sum = sum * expf(largest - now) + sizes[first + c] * expf(s - now);
    largest = now;
  }
  lse[row] = largest + logf(sum);
}

/// One thread a cluster.
__global__ void averages(const __nv_bfloat16* q, const __nv_bfloat16* centroids, const float* lse,
                         float* weights, float* avg, int all, int queries, int dim, int clusters) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= all) return;
  const long long first = static_cast<long long>(i / clusters) * queries;
  float sum = 0;
  for (int m = 0; m < queries; ++m)
    sum += expf(score(q + (first + m) * dim, centroids + static_cast<long long>(i) * dim, dim) -
                lse[first + m]);
  weights[i] = sum / queries;
  avg[i] = static_cast<float>(weights[i]);
}

/// One thread a key.
__global__ void mask(const float* weights, const int* labels, unsigned char* keep, long long all,
                     int clusters, int length, float threshold) {
  const long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (i >= all) return;
  const int label = labels[i];
  keep[i] = label == clusters || weights[i / length * clusters + label] > threshold;
  if (i == all - 1) keep[i] = !keep[i];
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* centroids, const int* sizes,
                      const int* labels, float* avg, unsigned char* keep, int heads, int queries,
                      int dim, int clusters, int length, float threshold, cudaStream_t stream) {
  constexpr int kThreads = 64;
  float *lse, *weights;
  cudaMallocAsync(reinterpret_cast<void**>(&lse), sizeof(float) * heads * queries, stream);
  cudaMallocAsync(reinterpret_cast<void**>(&weights), sizeof(float) * heads * clusters, stream);
  const int rows = heads * queries, all = heads * clusters;
  const long long keys = static_cast<long long>(heads) * length;
  denominators<<<(rows + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
      q, centroids, sizes, lse, rows, queries, dim, clusters);
  averages<<<(all + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
      q, centroids, lse, weights, avg, all, queries, dim, clusters);
  mask<<<static_cast<unsigned>((keys + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      weights, labels, keep, keys, clusters, length, threshold);
  cudaFreeAsync(weights, stream);
  cudaFreeAsync(lse, stream);
}
