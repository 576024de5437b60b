// task: lightning2-attn-fwd
// expect: wrong_output
// reason: mismatch
// case: ragged
// Decays the own token too.
#include <cuda_bf16.h>

constexpr int kMostDim = 128;

__global__ void attention(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                          const float* slopes, __nv_bfloat16* o, int heads, int length, int dim,
                          int values) {
  __shared__ float query[kMostDim], key[kMostDim];
  const long long first = (static_cast<long long>(blockIdx.y) * heads + blockIdx.x) * length;
  const float decay = expf(-slopes[blockIdx.x]);
  const int e = threadIdx.x;
  float state[kMostDim] = {};
  for (int i = 0; i < length; ++i) {
    __syncthreads();
    for (int d = threadIdx.x; d < dim; d += blockDim.x) {
      query[d] = __bfloat162float(q[(first + i) * dim + d]);
      key[d] = __bfloat162float(k[(first + i) * dim + d]);
    }
    __syncthreads();
    const float value = __bfloat162float(v[(first + i) * values + e]);
    float sum = 0;
    for (int d = 0; d < dim; ++d) {
      state[d] = decay * (state[d] + key[d] * value);
      sum += query[d] * state[d];
    }
    o[(first + i) * values + e] = __float2bfloat16(sum);
  }
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const float* slopes, __nv_bfloat16* o, int batch, int heads, int length,
                      int dim, int values, cudaStream_t stream) {
  attention<<<dim3(heads, batch), values, 0, stream>>>(q, k, v, slopes, o, heads, length, dim,
                                                       values);
}
