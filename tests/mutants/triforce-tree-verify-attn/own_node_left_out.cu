// task: triforce-tree-verify-attn
// expect: wrong_output
// reason: mismatch
// case: ragged
// Does not see itself.
#include <cuda_fp16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

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
    return j - length < i && node == j - length;
  }
  __device__ long long row(int h, int j) const {
    return (static_cast<long long>(j) * heads + h) * dim;
  }
  __device__ const __half* key(int, int h, int, int j) const { return k + row(h, j); }
  __device__ const __half* value(int, int h, int, int j) const { return v + row(h, j); }
};

__global__ void attention(const Problem p) {
  const int i = blockIdx.x, h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x;
  const __half* q = p.query(b, h, i);
  const float scale = 1 / sqrtf(static_cast<float>(p.dim));
  float query[kPerLane] = {}, output[kPerLane] = {}, largest = -INFINITY, weights = 0;
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim) query[e] = __half2float(q[lane + 32 * e]);
  const int count = p.count(b, h, i);
  for (int j = 0; j < count; ++j) {
    if (!p.allowed(b, h, i, j)) continue;
    const __half *key = p.key(b, h, i, j) + lane, *value = p.value(b, h, i, j) + lane;
    float score = 0;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < p.dim) score += query[e] * __half2float(key[32 * e]);
    for (int distance = 16; distance > 0; distance /= 2)
      score += __shfl_xor_sync(~0u, score, distance);
    score *= scale;
    const float now = fmaxf(largest, score);
    const float shrink = expf(largest - now), weight = expf(score - now);
    largest = now;
    weights = weights * shrink + weight;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < p.dim)
        output[e] = output[e] * shrink + weight * __half2float(value[32 * e]);
  }
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < p.dim) p.output(b, h, i)[lane + 32 * e] = __float2half(output[e] / weights);
}

extern "C" void solve(const __half* q, const __half* k, const __half* v, const int* parent,
                      __half* o, int length, int nodes, int heads, int dim, cudaStream_t stream) {
  const Problem p{q, k, v, parent, o, length, nodes, heads, dim};
  attention<<<dim3(nodes, heads, 1), 32, 0, stream>>>(p);
}
