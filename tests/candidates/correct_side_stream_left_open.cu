// task: vector-add
// expect: correct
// Launches on a stream of its own and never makes the given one wait: a timer on the given stream
// would see nothing, but a plan ends when its last operation ends.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  cudaStream_t side;
  cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
  add<<<(n + 255) / 256, 256, 0, side>>>(a, b, c, n);
}
