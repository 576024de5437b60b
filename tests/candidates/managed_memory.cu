// task: prefix-sum
// expect: record_error
// reason: unsupported_call
// says: cudaMallocManaged
// Memory shared with the host.
__global__ void scan(const int* x, int* y, int* flag, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) y[i] = sum += x[i];
  *flag = 1;
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  int* flag = nullptr;
  cudaMallocManaged(&flag, sizeof(int));
  scan<<<1, 1, 0, stream>>>(x, y, flag, n);
}
