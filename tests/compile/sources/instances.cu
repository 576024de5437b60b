// Template kernels whose instances are written at their launches, once in one that nobody compiles.
#include <cuda_fp16.h>
constexpr int kWidth = 64;
namespace {
template <typename T, int kBlock>
__global__ void scale(T* data, int n) {
  if (threadIdx.x < n) data[threadIdx.x] = data[threadIdx.x] * T(kBlock);
}
}  // namespace
namespace kernels {
template <bool kNegate>
__global__ void copy(const float* x, float* y, int n) {
  if (threadIdx.x < n) y[threadIdx.x] = kNegate ? -x[threadIdx.x] : x[threadIdx.x];
}
}  // namespace kernels
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  kernels::copy<(kWidth > 32)><<<1, kWidth, 0, stream>>>(x, y, n);
  scale<float, kWidth / 2><<<1, 32, 0, stream>>>(y, n);
#ifdef NEVER_DEFINED
  kernels::copy<false><<<1, kWidth, 0, stream>>>(x, y, n);
#endif
}
