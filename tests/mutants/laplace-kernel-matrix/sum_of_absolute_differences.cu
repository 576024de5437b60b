// task: laplace-kernel-matrix
// expect: wrong_output
// reason: mismatch
// case: ragged
// Takes the L1 distance.
__global__ void laplace(const float* x, const float* y, float* out, int n, int m, int d,
                        float ell) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= n || j >= m) return;
  float square = 0;
  for (int c = 0; c < d; ++c) {
    const float difference =
        x[static_cast<long long>(i) * d + c] - y[static_cast<long long>(j) * d + c];
    square += fabsf(difference);
  }
  out[static_cast<long long>(i) * m + j] = expf(-square / ell);
}

extern "C" void solve(const float* x, const float* y, float* out, int n, int m, int d, float ell,
                      cudaStream_t stream) {
  laplace<<<dim3((m + 31) / 32, (n + 7) / 8), dim3(32, 8), 0, stream>>>(x, y, out, n, m, d, ell);
}
