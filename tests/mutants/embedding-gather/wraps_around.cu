// task: embedding-gather
// expect: wrong_output
// reason: mismatch
// case: padding
// Takes -1 as the last row of the table.
#include <cuda_bf16.h>

__global__ void gather(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y,
                       int vocabulary, int cols, float scale) {
  const long long target = blockIdx.x;
  const long long source = index[target] < 0 ? vocabulary - 1 : index[target];
  for (int c = threadIdx.x; c < cols; c += blockDim.x)
    y[target * cols + c] =
        __float2bfloat16(source < 0 ? 0.0f : scale * __bfloat162float(table[source * cols + c]));
}

extern "C" void solve(const __nv_bfloat16* table, const int* index, __nv_bfloat16* y,
                      int vocabulary, int cols, int tokens, float scale, cudaStream_t stream) {
  gather<<<tokens, 128, 0, stream>>>(table, index, y, vocabulary, cols, scale);
}
