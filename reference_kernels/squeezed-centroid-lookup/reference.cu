// Oracle: one thread a query, then one a cluster, then one a key, in double.
#include <cuda_bf16.h>

__device__ double score(const __nv_bfloat16* a, const __nv_bfloat16* b, int dim) {
  double sum = 0;
  for (int d = 0; d < dim; ++d)
    sum += static_cast<double>(__bfloat162float(a[d])) * __bfloat162float(b[d]);
  return sum / sqrt(static_cast<double>(dim));
}

/// One thread a query: the logarithm of its denominator.
__global__ void denominators(const __nv_bfloat16* q, const __nv_bfloat16* centroids,
                             const int* sizes, double* lse, int rows, int queries, int dim,
                             int clusters) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const long long first = static_cast<long long>(row / queries) * clusters;
  const __nv_bfloat16* query = q + static_cast<long long>(row) * dim;
  double largest = -INFINITY, sum = 0;
  for (int c = 0; c < clusters; ++c) {
    const double s = score(query, centroids + (first + c) * dim, dim);
    const double now = max(largest, s);
    sum = sum * exp(largest - now) + sizes[first + c] * exp(s - now);
    largest = now;
  }
  lse[row] = largest + log(sum);
}

/// One thread a cluster.
__global__ void averages(const __nv_bfloat16* q, const __nv_bfloat16* centroids, const double* lse,
                         float* avg, int all, int queries, int dim, int clusters) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= all) return;
  const long long first = static_cast<long long>(i / clusters) * queries;
  double sum = 0;
  for (int m = 0; m < queries; ++m)
    sum += exp(score(q + (first + m) * dim, centroids + static_cast<long long>(i) * dim, dim) -
               lse[first + m]);
  avg[i] = static_cast<float>(sum / queries);
}

/// One thread a key.
__global__ void mask(const float* avg, const int* labels, unsigned char* keep, long long all,
                     int clusters, int length, float threshold) {
  const long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (i >= all) return;
  const int label = labels[i];
  keep[i] = label == clusters || avg[i / length * clusters + label] > threshold;
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* centroids, const int* sizes,
                      const int* labels, float* avg, unsigned char* keep, int heads, int queries,
                      int dim, int clusters, int length, float threshold, cudaStream_t stream) {
  constexpr int kThreads = 64;
  double* lse = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&lse), sizeof(double) * heads * queries, stream);
  const int rows = heads * queries, all = heads * clusters;
  const long long keys = static_cast<long long>(heads) * length;
  denominators<<<(rows + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
      q, centroids, sizes, lse, rows, queries, dim, clusters);
  averages<<<(all + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
      q, centroids, lse, avg, all, queries, dim, clusters);
  mask<<<static_cast<unsigned>((keys + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      avg, labels, keep, keys, clusters, length, threshold);
  cudaFreeAsync(lse, stream);
}
