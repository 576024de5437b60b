// Kernels of every linkage, launched with every form of configuration.
extern "C" __global__ void scale(const float* x, float* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = 2.0f * x[i];
}
static __global__ void shift(float* y, int n) {
  if (threadIdx.x < n) y[threadIdx.x] += 1.0f;
}
namespace {
__global__ void square(float* y, int n) {
  if (threadIdx.x < n) y[threadIdx.x] *= y[threadIdx.x];
}
}  // namespace
namespace outer {
namespace inner {
__global__ void negate(float* y) { y[threadIdx.x] = -y[threadIdx.x]; }
}  // namespace inner
}  // namespace outer
__global__ void forward(float* y);
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  scale<<<(n + 255) / 256, 256, 0, stream>>>(x, y, n);
  shift<<<dim3(2, 3), dim3(4, 5, 6)>>>(y, n);
  square<<<1,
           n < 1024 ? n : 1024,
           16>>>(y,
                 n);
  outer::inner::negate<<<1, 32, 0, stream>>>(y);
  if (n > 3) forward<<<1, 1>>>(y); else ::forward<<<2, 2>>>(y);
}
__global__ void forward(float* y) { y[0] = 0; }
