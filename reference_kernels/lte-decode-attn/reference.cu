// Oracle: one block a query, in double: the largest score first, then weights in tiles of keys.
#include <cuda_bf16.h>

constexpr int kThreads = 128;

struct Problem {
  const __nv_bfloat16 *q, *kc, *vc;
  const int *past_len, *blank_start, *blank_len;
  __nv_bfloat16* o;
  int heads, kv_heads, dim, window, kept;

  __device__ const __nv_bfloat16* query(int b, int h, int) const {
    return q + (static_cast<long long>(b) * heads + h) * dim;
  }
  __device__ __nv_bfloat16* output(int b, int h, int) const {
    return o + (static_cast<long long>(b) * heads + h) * dim;
  }
  __device__ int count(int, int, int) const { return window + kept; }
  __device__ bool allowed(int b, int h, int, int slot) const {
    if (slot >= window) return slot - window < past_len[b * kv_heads + h / (heads / kv_heads)];
    return slot < blank_start[b] || slot >= blank_start[b] + blank_len[b];
  }
  __device__ long long row(int b, int h, int slot) const {
    const long long at = static_cast<long long>(b) * (window + kept) + slot;
    return (at * kv_heads + h / (heads / kv_heads)) * dim;
  }
  __device__ const __nv_bfloat16* key(int b, int h, int, int slot) const {
    return kc + row(b, h, slot);
  }
  __device__ const __nv_bfloat16* value(int b, int h, int, int slot) const {
    return vc + row(b, h, slot);
  }
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
        sum += tile[t] * __bfloat162float(p.value(b, h, i, start + t)[thread]);
    }
  }
  if (thread < p.dim) p.output(b, h, i)[thread] = __double2bfloat16(sum / weights);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* kc, const __nv_bfloat16* vc,
                      const int* past_len, const int* blank_start, const int* blank_len,
                      __nv_bfloat16* o, int batch, int heads, int kv_heads, int dim, int window,
                      int kept, cudaStream_t stream) {
  const Problem p{q, kc,    vc,       past_len, blank_start, blank_len,
                  o, heads, kv_heads, dim,      window,      kept};
  attention<<<dim3(1, heads, batch), kThreads, 0, stream>>>(p);
}
