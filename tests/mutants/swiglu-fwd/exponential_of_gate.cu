// task: swiglu-fwd
// expect: wrong_output
// reason: mismatch
// case: saturated
// Computes the sigmoid as e / (1 + e), which is NaN for large gates.
#include <cuda_bf16.h>

__global__ void swiglu(const __nv_bfloat16* gu, __nv_bfloat16* y, int width) {
  gu += static_cast<long long>(blockIdx.x) * 2 * width;
  y += static_cast<long long>(blockIdx.x) * width;
  for (int c = threadIdx.x; c < width; c += blockDim.x) {
    const float gate = __bfloat162float(gu[c]), up = __bfloat162float(gu[width + c]);
    y[c] = __float2bfloat16(gate * expf(gate) / (1 + expf(gate)) * up);
  }
}

extern "C" void solve(const __nv_bfloat16* gu, __nv_bfloat16* y, int rows, int width,
                      cudaStream_t stream) {
  swiglu<<<rows, 256, 0, stream>>>(gu, y, width);
}
