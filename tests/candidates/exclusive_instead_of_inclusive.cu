// task: prefix-sum
// expect: wrong_output
// reason: mismatch
// Off by one: the sum before each element.
__global__ void scan(const int* x, int* y, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    y[i] = sum;
    sum += x[i];
  }
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  scan<<<1, 1, 0, stream>>>(x, y, n);
}
