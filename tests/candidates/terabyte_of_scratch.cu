// task: prefix-sum
// expect: record_error
// reason: scratch_limit
// Asks for 1 TB of scratch and does not look at the error.
__global__ void scan(const int* x, int* y, int* sums, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) y[i] = sum += x[i];
  *sums = sum;
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  int* sums = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&sums), size_t{1} << 40, stream);
  scan<<<1, 1, 0, stream>>>(x, y, sums, n);
}
