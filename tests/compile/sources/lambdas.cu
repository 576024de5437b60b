// Lambdas: inside a kernel, and handed from the host to a kernel template.
template <typename F>
__global__ void apply(float* y, F f) {
  auto twice = [&](float v) { return f(f(v)); };
  y[threadIdx.x] = twice(y[threadIdx.x]);
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  float factor = 3;
  apply<<<1, 32, 0, stream>>>(y, [=] __device__(float v) { return v * factor + n; });
}
