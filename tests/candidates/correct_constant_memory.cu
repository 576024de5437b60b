// task: rmsnorm
// expect: correct
// Passes its parameters through constant memory.
#include <cuda_bf16.h>

struct Parameters {
  int cols;
  float eps;
  float one_over_cols;
};
__constant__ Parameters parameters;

__global__ void rmsnorm(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y) {
  const int cols = parameters.cols, lane = threadIdx.x;
  x += static_cast<long long>(blockIdx.x) * cols;
  y += static_cast<long long>(blockIdx.x) * cols;
  float sum = 0;
  for (int c = lane; c < cols; c += 32) sum += __bfloat162float(x[c]) * __bfloat162float(x[c]);
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
  const float scale = rsqrtf(sum * parameters.one_over_cols + parameters.eps);
  for (int c = lane; c < cols; c += 32)
    y[c] = __float2bfloat16(__bfloat162float(x[c]) * scale * __bfloat162float(weight[c]));
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                      int rows, int cols, float eps, cudaStream_t stream) {
  const Parameters values{cols, eps, 1.0f / cols};
  cudaMemcpyToSymbolAsync(parameters, &values, sizeof(values), 0, cudaMemcpyHostToDevice, stream);
  rmsnorm<<<rows, 32, 0, stream>>>(x, weight, y);
}
