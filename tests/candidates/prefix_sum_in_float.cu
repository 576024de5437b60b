// task: prefix-sum
// expect: wrong_output
// reason: mismatch
// case: large-magnitudes
// Sums in f32, which holds integers up to 2^24 only.
__global__ void scan(const int* x, int* y, int n) {
  float sum = 0;
  for (int i = 0; i < n; ++i) y[i] = static_cast<int>(sum += x[i]);
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  scan<<<1, 1, 0, stream>>>(x, y, n);
}
