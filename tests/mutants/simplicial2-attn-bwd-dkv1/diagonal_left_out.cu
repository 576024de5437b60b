// task: simplicial2-attn-bwd-dkv1
// expect: wrong_output
// reason: mismatch
// case: ragged
// A token does not see itself as second key.
#include <cuda_bf16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

struct Problem {
  const __nv_bfloat16 *q, *dout, *k1, *k2, *v1, *v2;
  const float *lse, *delta;
  float *dk1, *dv1;
  int length, heads, kv_heads, dim, window1, window2;
};

__device__ float sum_of_warp(float value) {
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

__global__ void gradients(const Problem p) {
  const int j = blockIdx.x, m = blockIdx.y, b = blockIdx.z, lane = threadIdx.x;
  const int group = p.heads / p.kv_heads;
  const long long token = static_cast<long long>(b) * p.length;
  const long long own = ((token + j) * p.kv_heads + m) * p.dim;
  const float scale = 1 / sqrtf(static_cast<float>(p.dim));
  float of_key[kPerLane] = {}, of_value[kPerLane] = {};
  for (int h = m * group; h < (m + 1) * group; ++h)
    for (int i = j; i < min(p.length, j + p.window1); ++i) {
      const long long query = ((token + i) * p.heads + h) * p.dim;
      const long long row = (static_cast<long long>(b) * p.heads + h) * p.length + i;
      for (int k = max(0, i - p.window2 + 1); k < i; ++k) {
        const long long second = ((token + k) * p.kv_heads + m) * p.dim;
        float score = 0, of_weight = 0;
        for (int d = lane; d < p.dim; d += 32) {
          score += static_cast<float>(__bfloat162float(p.q[query + d])) *
                   __bfloat162float(p.k1[own + d]) * __bfloat162float(p.k2[second + d]);
          of_weight += static_cast<float>(__bfloat162float(p.dout[query + d])) *
                       __bfloat162float(p.v1[own + d]) * __bfloat162float(p.v2[second + d]);
        }
        const float weight = expf(sum_of_warp(score) * scale - p.lse[row]);
        const float of_score = weight * (sum_of_warp(of_weight) - p.delta[row]);
        for (int e = 0, d = lane; d < p.dim; ++e, d += 32) {
          of_value[e] +=
              weight * __bfloat162float(p.dout[query + d]) * __bfloat162float(p.v2[second + d]);
          of_key[e] +=
              of_score * __bfloat162float(p.q[query + d]) * __bfloat162float(p.k2[second + d]);
        }
      }
    }
  for (int e = 0, d = lane; d < p.dim; ++e, d += 32) {
    p.dk1[own + d] = static_cast<float>(of_key[e] * scale);
    p.dv1[own + d] = static_cast<float>(of_value[e]);
  }
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* dout, const __nv_bfloat16* k1,
                      const __nv_bfloat16* k2, const __nv_bfloat16* v1, const __nv_bfloat16* v2,
                      const float* lse, const float* delta, float* dk1, float* dv1, int batch,
                      int length, int heads, int kv_heads, int dim, int window1, int window2,
                      cudaStream_t stream) {
  const Problem p{q,   dout, k1,     k2,    v1,       v2,  lse,     delta,
                  dk1, dv1,  length, heads, kv_heads, dim, window1, window2};
  gradients<<<dim3(length, kv_heads, batch), 32, 0, stream>>>(p);
}
