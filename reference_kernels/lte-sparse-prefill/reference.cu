// Oracle: one block a query, in double: the largest score first, then weights in tiles of keys.
#include <cuda_bf16.h>

constexpr int kThreads = 128;

struct Problem {
  const __nv_bfloat16 *q, *k, *v, *kp, *vp;
  const int *idx, *cnt;
  __nv_bfloat16* o;
  float* lse;
  int length, heads, kv_heads, dim, window, kept;

  __device__ int group(int h) const { return h / (heads / kv_heads); }
  __device__ const __nv_bfloat16* query(int b, int h, int i) const {
    return q + ((static_cast<long long>(b) * length + i) * heads + h) * dim;
  }
  __device__ __nv_bfloat16* output(int b, int h, int i) const {
    return o + ((static_cast<long long>(b) * length + i) * heads + h) * dim;
  }
  /// The retained tokens come first, then those of the window.
  __device__ int retained(int b, int h) const { return cnt[b * kv_heads + group(h)]; }
  __device__ int first_of_window(int i) const { return max(0, i - window + 1); }
  __device__ int count(int b, int h, int i) const {
    return retained(b, h) + i - first_of_window(i) + 1;
  }
  __device__ bool allowed(int b, int h, int i, int j) const {
    return j >= retained(b, h) ||
           idx[(static_cast<long long>(b) * kv_heads + group(h)) * kept + j] <= i - window;
  }
  __device__ const __nv_bfloat16* row(const __nv_bfloat16* all, const __nv_bfloat16* copies, int b,
                                      int h, int i, int j) const {
    const int of_window = j - retained(b, h);
    if (of_window < 0)
      return copies + ((static_cast<long long>(b) * kept + j) * kv_heads + group(h)) * dim;
    const long long token = static_cast<long long>(b) * length + first_of_window(i) + of_window;
    return all + (token * kv_heads + group(h)) * dim;
  }
  __device__ const __nv_bfloat16* key(int b, int h, int i, int j) const {
    return row(k, kp, b, h, i, j);
  }
  __device__ const __nv_bfloat16* value(int b, int h, int i, int j) const {
    return row(v, vp, b, h, i, j);
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
  if (thread == 0)
    p.lse[(static_cast<long long>(b) * p.heads + h) * p.length + i] =
        static_cast<float>(largest + log(weights));
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const __nv_bfloat16* kp, const __nv_bfloat16* vp, const int* idx,
                      const int* cnt, __nv_bfloat16* o, float* lse, int batch, int length,
                      int heads, int kv_heads, int dim, int window, int kept, cudaStream_t stream) {
  const Problem p{q, k, v, kp, vp, idx, cnt, o, lse, length, heads, kv_heads, dim, window, kept};
  attention<<<dim3(length, heads, batch), kThreads, 0, stream>>>(p);
}
