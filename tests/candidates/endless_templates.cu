// task: vector-add
// expect: compile_error
// reason: compiler_limits
// Templates that instantiate each other without end.
template <int kDepth>
struct Endless {
  static constexpr int kValue = Endless<kDepth + 1>::kValue + 1;
};

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  n += Endless<0>::kValue;
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
