// task: tk-mamba2-ssd
// expect: wrong_output
// reason: mismatch
// case: ragged
// Reads with b and writes with c.
#include <cuda_bf16.h>

constexpr int kDim = 64;

__global__ void scan(const __nv_bfloat16* c, const __nv_bfloat16* b, const __nv_bfloat16* x,
                     const float* a, __nv_bfloat16* o, int heads, int length) {
  __shared__ float rows_of_c[kDim], rows_of_b[kDim];
  const int e = threadIdx.x;
  const long long sequence = static_cast<long long>(blockIdx.y) * length;
  const long long head = (static_cast<long long>(blockIdx.y) * heads + blockIdx.x) * length;
  float state[kDim] = {};
  for (int t = 0; t < length; ++t) {
    __syncthreads();
    rows_of_c[e] = __bfloat162float(c[(sequence + t) * kDim + e]);
    rows_of_b[e] = __bfloat162float(b[(sequence + t) * kDim + e]);
    __syncthreads();
    const float decay = expf(a[head + t]), value = __bfloat162float(x[(head + t) * kDim + e]);
    float sum = 0;
    for (int d = 0; d < kDim; ++d) {
      state[d] = decay * state[d] + rows_of_c[d] * value;
      sum += rows_of_b[d] * state[d];
    }
    o[(head + t) * kDim + e] = __float2bfloat16(sum);
  }
}

extern "C" void solve(const __nv_bfloat16* c, const __nv_bfloat16* b, const __nv_bfloat16* x,
                      const float* a, __nv_bfloat16* o, int batch, int heads, int length,
                      cudaStream_t stream) {
  scan<<<dim3(heads, batch), kDim, 0, stream>>>(c, b, x, a, o, heads, length);
}
