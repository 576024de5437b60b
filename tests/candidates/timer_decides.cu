// task: vector-add
// expect: nondeterministic
// reason: repeat_differs
// case: small
// Does the full work or a cheap part of it, as the low bits of the timer fall.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  now *= 0x9e3779b97f4a7c15ull;
  if (i < n) c[i] = now >> 40 & 1 ? a[i] + b[i] : a[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
