// task: vector-add
// expect: nondeterministic
// reason: repeat_differs
// Mixes the clock into one element.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i] + (i == 0 ? static_cast<float>(clock64() % 1009) : 0.0f);
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
