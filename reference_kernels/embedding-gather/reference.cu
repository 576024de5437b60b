// Oracle: one thread an element. The f32 product is part of the definition.
#include <cuda_bf16.h>

__global__ void gather(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y, int cols,
                       int tokens, float scale) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(tokens) * cols) return;
  const long long row = index[i / cols];
  const float value = row < 0 ? 0.0f : scale * __bfloat162float(table[row * cols + i % cols]);
  y[i] = __float2bfloat16(value);
}

extern "C" void solve(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y,
                      int /*vocabulary*/, int cols, int tokens, float scale, cudaStream_t stream) {
  const long long elements = static_cast<long long>(tokens) * cols;
  gather<<<static_cast<unsigned>((elements + 255) / 256), 256, 0, stream>>>(table, index, y, cols,
                                                                            tokens, scale);
}
