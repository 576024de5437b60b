// task: vector-add
// expect: correct
// Saves its result in device variables and would copy it out in a later call: module variables are
// as new in each run, so that it always computes.
__device__ float saved[1 << 17];
__device__ int valid;

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  if (!valid) saved[i] = a[i] + b[i];
  c[i] = saved[i];
}

__global__ void remember() { valid = 1; }

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
  remember<<<1, 1, 0, stream>>>();
}
