// task: embedding-gather
// expect: wrong_output
// reason: mismatch
// case: other-negatives
// Treats only -1 as padding, and other negatives as row 0.
#include <cuda_bf16.h>

__global__ void gather(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y, int cols,
                       float scale) {
  const long long target = blockIdx.x;
  const long long source = index[target];
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[target * cols + c] = __float2bfloat16(
        source == -1 ? 0.0f : scale * __bfloat162float(table[max(source, 0ll) * cols + c]));
}

extern "C" void solve(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y,
                      int /*vocabulary*/, int cols, int tokens, float scale, cudaStream_t stream) {
  gather<<<tokens, 128, 0, stream>>>(table, index, y, cols, scale);
}
