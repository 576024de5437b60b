// Oracle: all scores in scratch, then one thread an element of o, in double.
#include <cuda_bf16.h>

struct Problem {
  const __nv_bfloat16 *q, *keys, *values;
  const int *table, *lengths;
  int heads, kv_heads, dim, page, most_pages;
  double scale;

  /// First element of a token's key or value for query head h.
  __device__ long long row(int b, int h, int t) const {
    const long long at = table[b * most_pages + t / page];
    return ((at * page + t % page) * kv_heads + h / (heads / kv_heads)) * dim;
  }
};

__global__ void score(const Problem p, double* scores, int most_tokens) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x;
  const int h = blockIdx.y, b = blockIdx.z;
  if (t >= p.lengths[b]) return;
  const __nv_bfloat16* q = p.q + (static_cast<long long>(b) * p.heads + h) * p.dim;
  const __nv_bfloat16* key = p.keys + p.row(b, h, t);
  double sum = 0;
  for (int d = 0; d < p.dim; ++d)
    sum += static_cast<double>(__bfloat162float(q[d])) * __bfloat162float(key[d]);
  scores[(static_cast<long long>(b) * p.heads + h) * most_tokens + t] = sum * p.scale;
}

__global__ void average(const Problem p, const double* scores, __nv_bfloat16* o, int most_tokens) {
  const int d = threadIdx.x, h = blockIdx.x, b = blockIdx.y;
  const long long query = static_cast<long long>(b) * p.heads + h;
  const double* s = scores + query * most_tokens;
  double largest = -INFINITY, weights = 0, sum = 0;
  for (int t = 0; t < p.lengths[b]; ++t) largest = fmax(largest, s[t]);
  for (int t = 0; t < p.lengths[b]; ++t) {
    const double weight = exp(s[t] - largest);
    weights += weight;
    sum += weight * __bfloat162float(p.values[p.row(b, h, t) + d]);
  }
  o[query * p.dim + d] = __double2bfloat16(p.lengths[b] == 0 ? 0 : sum / weights);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* keys,
                      const __nv_bfloat16* values, const int* table, const int* lengths,
                      __nv_bfloat16* o, int batch, int heads, int kv_heads, int dim, int page,
                      int most_pages, float scale, cudaStream_t stream) {
  const Problem p{q, keys, values, table, lengths, heads, kv_heads, dim, page, most_pages, scale};
  const int most_tokens = most_pages * page;
  double* scores = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scores),
                  sizeof(double) * batch * heads * static_cast<size_t>(most_tokens), stream);
  score<<<dim3((most_tokens + 63) / 64, heads, batch), 64, 0, stream>>>(p, scores, most_tokens);
  average<<<dim3(heads, batch), dim, 0, stream>>>(p, scores, o, most_tokens);
  cudaFreeAsync(scores, stream);
}
