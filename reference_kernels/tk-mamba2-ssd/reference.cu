// Oracle: one block a token and head, in double: weights of a tile of earlier tokens, then sums.
// The sum of the logarithms between two tokens is added up anew for each pair.
#include <cuda_bf16.h>

constexpr int kThreads = 64;
constexpr int kDim = 64;

__global__ void scan(const __nv_bfloat16* c, const __nv_bfloat16* b, const __nv_bfloat16* x,
                     const float* a, __nv_bfloat16* o, int heads, int length) {
  __shared__ double tile[kThreads];
  const int t = blockIdx.x, thread = threadIdx.x;
  const long long sequence = static_cast<long long>(blockIdx.z) * length;
  const long long head = (static_cast<long long>(blockIdx.z) * heads + blockIdx.y) * length;
  double sum = 0, later = 0;  // later: sum of a over the tokens after the tile, up to t
  for (int end = t; end >= 0; end -= kThreads) {
    const int s = end - thread;
    double weight = 0, between = later;
    if (s >= 0) {
      for (int d = 0; d < kDim; ++d)
        weight += static_cast<double>(__bfloat162float(c[(sequence + t) * kDim + d])) *
                  __bfloat162float(b[(sequence + s) * kDim + d]);
      for (int r = s + 1; r <= end; ++r) between += a[head + r];
      weight *= exp(between);
    }
    __syncthreads();
    tile[thread] = weight;
    __syncthreads();
    for (int k = 0; k < kThreads && end - k >= 0; ++k)
      sum += tile[k] * __bfloat162float(x[(head + end - k) * kDim + thread]);
    for (int k = 0; k < kThreads && end - k >= 0; ++k) later += a[head + end - k];
  }
  o[(head + t) * kDim + thread] = __double2bfloat16(sum);
}

extern "C" void solve(const __nv_bfloat16* c, const __nv_bfloat16* b, const __nv_bfloat16* x,
                      const float* a, __nv_bfloat16* o, int batch, int heads, int length,
                      cudaStream_t stream) {
  scan<<<dim3(length, heads, batch), kThreads, 0, stream>>>(c, b, x, a, o, heads, length);
}
