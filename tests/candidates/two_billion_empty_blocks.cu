// task: vector-add
// expect: timeout
// reason: kernel_time
// cuda: correct | timeout kernel_time
// As many blocks as a grid can have, each of one thread that does nothing.
__global__ void nothing() {}

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  nothing<<<2147483647, 1, 0, stream>>>();
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
