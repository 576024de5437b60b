// Oracle: one block a query, in double: the largest score first, then the partial result and
// weights in tiles of keys.
#include <cuda_bf16.h>

constexpr int kThreads = 128;

struct Problem {
  const __nv_bfloat16 *q, *k, *v;
  const int *kidx, *klen;
  const float *o0, *m0, *l0;
  __nv_bfloat16* o;
  int queries, dim, length, most;

  __device__ const __nv_bfloat16* query(int, int h, int i) const {
    return q + (static_cast<long long>(h) * queries + i) * dim;
  }
  __device__ __nv_bfloat16* output(int, int h, int i) const {
    return o + (static_cast<long long>(h) * queries + i) * dim;
  }
  __device__ int count(int, int h, int) const { return klen[h]; }
  __device__ bool allowed(int, int, int, int) const { return true; }
  __device__ long long row(int h, int j) const {
    return (static_cast<long long>(h) * length + kidx[static_cast<long long>(h) * most + j]) * dim;
  }
  __device__ const __nv_bfloat16* key(int, int h, int, int j) const { return k + row(h, j); }
  __device__ const __nv_bfloat16* value(int, int h, int, int j) const { return v + row(h, j); }
};

__device__ double score(const Problem& p, const __nv_bfloat16* q, const __nv_bfloat16* key) {
  double sum = 0;
  for (int d = 0; d < p.dim; ++d)
    sum += static_cast<double>(__bfloat162float(q[d])) * __bfloat162float(key[d]);
  return sum / sqrt(static_cast<double>(p.dim));
}

__global__ void attention(const Problem p) {
  __shared__ double tile[kThreads];
  __shared__ double parts[kThreads];
  const int i = blockIdx.x, h = blockIdx.y, b = blockIdx.z, thread = threadIdx.x;
  const __nv_bfloat16* q = p.query(b, h, i);
  const int count = p.count(b, h, i);
  double largest = p.m0[static_cast<long long>(h) * p.queries + i];
  parts[thread] = largest;
  for (int j = thread; j < count; j += kThreads)
    if (p.allowed(b, h, i, j)) parts[thread] = fmax(parts[thread], score(p, q, p.key(b, h, i, j)));
  __syncthreads();
  for (int t = 0; t < kThreads; ++t) largest = fmax(largest, parts[t]);

  const long long first = static_cast<long long>(h) * p.queries + i;
  double weights = p.l0[first] * exp(p.m0[first] - largest);
  double sum = thread < p.dim ? weights * p.o0[first * p.dim + thread] : 0;
  for (int start = 0; start < count; start += kThreads) {
    __syncthreads();
    const int j = start + thread;
    tile[thread] =
        j < count && p.allowed(b, h, i, j) ? exp(score(p, q, p.key(b, h, i, j)) - largest) : 0;
    __syncthreads();
    for (int t = 0; t < kThreads && start + t < count; ++t) {
      weights += tile[t];
      if (thread < p.dim && tile[t] > 0)
        sum += tile[t] * __bfloat162float(p.value(b, h, i, start + t)[thread]);
    }
  }
  if (thread < p.dim) p.output(b, h, i)[thread] = __double2bfloat16(sum / weights);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* kidx, const int* klen, const float* o0, const float* m0,
                      const float* l0, __nv_bfloat16* o, int heads, int queries, int dim,
                      int length, int most, cudaStream_t stream) {
  const Problem p{q, k, v, kidx, klen, o0, m0, l0, o, queries, dim, length, most};
  attention<<<dim3(queries, heads, 1), kThreads, 0, stream>>>(p);
}
