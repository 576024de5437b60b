// task: vector-add
// expect: runtime_fault
// reason: divergent_barrier
// cuda: timeout kernel_time
// Some warps wait at one barrier and the others at another number of barriers.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
  if (threadIdx.x < 128) {
    asm volatile("bar.sync 1, 256;");
  } else {
    asm volatile("bar.sync 2, 256;");
  }
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
