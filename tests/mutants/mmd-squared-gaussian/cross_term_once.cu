// task: mmd-squared-gaussian
// expect: wrong_output
// reason: mismatch
// Subtracts the cross term once.
__global__ void add_sums(const float* a, const float* b, double* total, int n, int m, int d,
                         float gamma) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  double sum = 0;
  for (int j = 0; j < m; ++j) {
    float square = 0;
    for (int c = 0; c < d; ++c) {
      const float difference =
          a[static_cast<long long>(i) * d + c] - b[static_cast<long long>(j) * d + c];
      square += difference * difference;
    }
    sum += expf(-gamma * square);
  }
  atomicAdd(total, sum);
}

__global__ void finish(double* out, int n, int m) {
  out[0] /= static_cast<double>(n) * n;
  out[1] /= static_cast<double>(m) * m;
  out[2] /= static_cast<double>(n) * m;
  out[3] = out[0] + out[1] - out[2];
}

extern "C" void solve(const float* x, const float* y, double* out, int n, int m, int d, float gamma,
                      cudaStream_t stream) {
  cudaMemsetAsync(out, 0, 4 * sizeof(double), stream);
  add_sums<<<(n + 127) / 128, 128, 0, stream>>>(x, x, out, n, n, d, gamma);
  add_sums<<<(m + 127) / 128, 128, 0, stream>>>(y, y, out + 1, m, m, d, gamma);
  add_sums<<<(n + 127) / 128, 128, 0, stream>>>(x, y, out + 2, n, m, d, gamma);
  finish<<<1, 1, 0, stream>>>(out, n, m);
}
