// Oracle: one block a query, in double: the largest score first, then weights in tiles of keys.
#include <cuda_fp16.h>

constexpr int kThreads = 128;

struct Problem {
  const __half *q, *k, *v;
  const int* parent;
  __half* o;
  int length, nodes, heads, dim;

  __device__ const __half* query(int, int h, int i) const {
    return q + (static_cast<long long>(i) * heads + h) * dim;
  }
  __device__ __half* output(int, int h, int i) const {
    return o + (static_cast<long long>(i) * heads + h) * dim;
  }
  __device__ int count(int, int, int i) const { return length + i + 1; }
  __device__ bool allowed(int, int, int i, int j) const {
    if (j < length) return true;
    int node = i;
    while (node > j - length) node = parent[node];
    return node == j - length;
  }
  __device__ long long row(int h, int j) const {
    return (static_cast<long long>(j) * heads + h) * dim;
  }
  __device__ const __half* key(int, int h, int, int j) const { return k + row(h, j); }
  __device__ const __half* value(int, int h, int, int j) const { return v + row(h, j); }
};

__device__ double score(const Problem& p, const __half* q, const __half* key) {
  double sum = 0;
  for (int d = 0; d < p.dim; ++d)
    sum += static_cast<double>(__half2float(q[d])) * __half2float(key[d]);
  return sum / sqrt(static_cast<double>(p.dim));
}

__global__ void attention(const Problem p) {
  __shared__ double tile[kThreads];
  __shared__ double parts[kThreads];
  const int i = blockIdx.x, h = blockIdx.y, b = blockIdx.z, thread = threadIdx.x;
  const __half* q = p.query(b, h, i);
  const int count = p.count(b, h, i);
  double largest = -INFINITY;
  parts[thread] = largest;
  for (int j = thread; j < count; j += kThreads)
    if (p.allowed(b, h, i, j)) parts[thread] = fmax(parts[thread], score(p, q, p.key(b, h, i, j)));
  __syncthreads();
  for (int t = 0; t < kThreads; ++t) largest = fmax(largest, parts[t]);

  double weights = 0, sum = 0;
  for (int start = 0; start < count; start += kThreads) {
    __syncthreads();
    const int j = start + thread;
    tile[thread] =
        j < count && p.allowed(b, h, i, j) ? exp(score(p, q, p.key(b, h, i, j)) - largest) : 0;
    __syncthreads();
    for (int t = 0; t < kThreads && start + t < count; ++t) {
      weights += tile[t];
      if (thread < p.dim && tile[t] > 0)
        sum += tile[t] * __half2float(p.value(b, h, i, start + t)[thread]);
    }
  }
  if (thread < p.dim) p.output(b, h, i)[thread] = __double2half(sum / weights);
}

extern "C" void solve(const __half* q, const __half* k, const __half* v, const int* parent,
                      __half* o, int length, int nodes, int heads, int dim, cudaStream_t stream) {
  const Problem p{q, k, v, parent, o, length, nodes, heads, dim};
  attention<<<dim3(nodes, heads, 1), kThreads, 0, stream>>>(p);
}
