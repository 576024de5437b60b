// Oracle: one block a query, in double: the largest score first, then weights in tiles of keys.
#include <cuda_bf16.h>

constexpr int kThreads = 128;

struct Problem {
  const __nv_bfloat16 *q, *k, *v;
  __nv_bfloat16* o;
  float* lse;
  int heads, kv_heads, length, dim, causal;
};

__device__ double score(const Problem& p, const __nv_bfloat16* q, const __nv_bfloat16* key) {
  double sum = 0;
  for (int d = 0; d < p.dim; ++d)
    sum += static_cast<double>(__bfloat162float(q[d])) * __bfloat162float(key[d]);
  return sum / sqrt(static_cast<double>(p.dim));
}

__global__ void attention(const Problem p) {
  __shared__ double tile[kThreads];
  const int i = blockIdx.x, h = blockIdx.y, b = blockIdx.z, thread = threadIdx.x;
  const long long head = static_cast<long long>(b) * p.heads + h;
  const long long kv = static_cast<long long>(b) * p.kv_heads + h / (p.heads / p.kv_heads);
  const __nv_bfloat16* q = p.q + (head * p.length + i) * p.dim;
  const __nv_bfloat16* keys = p.k + kv * p.length * p.dim;
  const __nv_bfloat16* values = p.v + kv * p.length * p.dim;
  const int count = p.causal ? i + 1 : p.length;

  double largest = -INFINITY;
  for (int j = thread; j < count; j += kThreads)
    largest = fmax(largest, score(p, q, keys + static_cast<long long>(j) * p.dim));
  tile[thread] = largest;
  __syncthreads();
  for (int t = 0; t < kThreads; ++t) largest = fmax(largest, tile[t]);

  double weights = 0, sum = 0;
  for (int start = 0; start < count; start += kThreads) {
    __syncthreads();
    const int j = start + thread;
    tile[thread] =
        j < count ? exp(score(p, q, keys + static_cast<long long>(j) * p.dim) - largest) : 0;
    __syncthreads();
    for (int t = 0; t < kThreads && start + t < count; ++t) {
      weights += tile[t];
      if (thread < p.dim)
        sum +=
            tile[t] * __bfloat162float(values[static_cast<long long>(start + t) * p.dim + thread]);
    }
  }
  if (thread < p.dim)
    p.o[(head * p.length + i) * p.dim + thread] = __double2bfloat16(sum / weights);
  if (thread == 0) p.lse[head * p.length + i] = static_cast<float>(largest + log(weights));
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      __nv_bfloat16* o, float* lse, int batch, int heads, int kv_heads, int length,
                      int dim, int causal, cudaStream_t stream) {
  const Problem p{q, k, v, o, lse, heads, kv_heads, length, dim, causal};
  attention<<<dim3(length, heads, batch), kThreads, 0, stream>>>(p);
}
