// Textbook: one block a position of a head, one thread a pair.
#include <cuda_bf16.h>

__global__ void rotate(const __nv_bfloat16* x, const __nv_bfloat16* cosines,
                       const __nv_bfloat16* sines, __nv_bfloat16* o, int length, int half) {
  const long long row = blockIdx.x;
  const int n = static_cast<int>(row % length);
  for (int i = threadIdx.x; i < half; i += blockDim.x) {
    const float c = __bfloat162float(cosines[static_cast<long long>(n) * half + i]);
    const float s = __bfloat162float(sines[static_cast<long long>(n) * half + i]);
    const float low = __bfloat162float(x[row * 2 * half + i]);
    const float high = __bfloat162float(x[row * 2 * half + half + i]);
    o[row * 2 * half + i] = __float2bfloat16(low * c - high * s);
    o[row * 2 * half + half + i] = __float2bfloat16(high * c + low * s);
  }
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* cosines,
                      const __nv_bfloat16* sines, __nv_bfloat16* o, int batch, int heads,
                      int length, int dim, cudaStream_t stream) {
  rotate<<<batch * heads * length, 64, 0, stream>>>(x, cosines, sines, o, length, dim / 2);
}
