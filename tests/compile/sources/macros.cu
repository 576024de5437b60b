// Kernels and launches that come out of macros.
#define KERNEL(name, op) \
  __global__ void name(float* y) { y[threadIdx.x] = y[threadIdx.x] op 2.0f; }
#define LAUNCH(name, ...) name<<<1, 32, 0, stream>>>(__VA_ARGS__)
KERNEL(plus_two, +)
KERNEL(times_two, *)
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  LAUNCH(plus_two, y);
  LAUNCH(times_two, y);
}
