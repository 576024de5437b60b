// task: ternary-gemm-fp16
// expect: wrong_output
// reason: mismatch
// case: ragged
// Takes the scale of the next shard.
#include <cuda_fp16.h>

constexpr int kTile = 16;

__global__ void multiply(const __half* x, const unsigned* packed, const float* gamma, __half* y,
                         int m, int rows, int cols, int shards) {
  __shared__ float x_tile[kTile][kTile], w_tile[kTile][kTile + 1];
  const int n = blockIdx.x * kTile + threadIdx.x, i = blockIdx.y * kTile + threadIdx.y;
  const int loaded = blockIdx.x * kTile + threadIdx.y;  // row of weights this thread unpacks
  float sum = 0;
  for (int start = 0; start < cols; start += kTile) {
    const int k = threadIdx.x;
    x_tile[threadIdx.y][k] =
        i < m ? __half2float(x[static_cast<long long>(i) * cols + start + k]) : 0.0f;
    const unsigned word =
        loaded < rows ? packed[static_cast<long long>(loaded) * (cols / 16) + start / 16] : 0;
    w_tile[threadIdx.y][k] = static_cast<float>(static_cast<int>(word >> (2 * k) & 3) - 1);
    __syncthreads();
    for (int p = 0; p < kTile; ++p) sum += x_tile[threadIdx.y][p] * w_tile[threadIdx.x][p];
    __syncthreads();
  }
  if (i < m && n < rows)
    y[static_cast<long long>(i) * rows + n] =
        __float2half(gamma[(n / (rows / shards) + 1) % shards] * sum);
}

extern "C" void solve(const __half* x, const unsigned int* packed, const float* gamma, __half* y,
                      int m, int rows, int cols, int shards, cudaStream_t stream) {
  multiply<<<dim3((rows + kTile - 1) / kTile, (m + kTile - 1) / kTile), dim3(kTile, kTile), 0,
             stream>>>(x, packed, gamma, y, m, rows, cols, shards);
}
