// task: prefix-sum
// expect: runtime_fault
// reason: stack_overflow
// cuda: runtime_fault illegal_address
// A device function that calls itself and never stops.
__device__ __noinline__ int sum_up_to(const int* x, int i) {
  volatile int here = x[i];
  return here + sum_up_to(x, i == 0 ? 0 : i - 1);
}

__global__ void scan(const int* x, int* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = sum_up_to(x, i);
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  scan<<<(n + 255) / 256, 256, 0, stream>>>(x, y, n);
}
