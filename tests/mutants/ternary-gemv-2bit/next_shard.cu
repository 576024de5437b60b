// task: ternary-gemv-2bit
// expect: wrong_output
// reason: mismatch
// case: ragged
// Takes the scale of the next shard.
#include <cuda_fp16.h>

__global__ void multiply(const unsigned* packed, const float* gamma, const __half* x, __half* y,
                         int batch, int rows, int cols, int shards) {
  const int row = blockIdx.x, lane = threadIdx.x;
  const long long layer = blockIdx.y;
  const int words = cols / 16;
  for (int b = 0; b < batch; ++b) {
    const long long column = layer * batch + b;
    float sum = 0;
    for (int i = lane; i < words; i += 32) {
      const unsigned word = packed[(layer * rows + row) * words + i];
      for (int k = 0; k < 16; ++k) {
        const int weight = static_cast<int>(word >> (2 * k) & 3) - 1;
        sum += weight * __half2float(x[column * cols + i * 16 + k]);
      }
    }
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
    if (lane == 0)
      y[column * rows + row] =
          __float2half(gamma[layer * shards + (row / (rows / shards) + 1) % shards] * sum);
  }
}

extern "C" void solve(const unsigned int* packed, const float* gamma, const __half* x, __half* y,
                      int layers, int batch, int rows, int cols, int shards, cudaStream_t stream) {
  multiply<<<dim3(rows, layers), 32, 0, stream>>>(packed, gamma, x, y, batch, rows, cols, shards);
}
