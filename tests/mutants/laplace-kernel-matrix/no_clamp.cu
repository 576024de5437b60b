// task: laplace-kernel-matrix
// expect: wrong_output
// reason: mismatch
// case: coincident
// Takes the root of r^2 = |x|^2 + |y|^2 - 2 x y without a clamp at 0.
__global__ void laplace(const float* x, const float* y, float* out, int n, int m, int d,
                        float ell) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= n || j >= m) return;
  float lengths = 0, product = 0;
  for (int c = 0; c < d; ++c) {
    const float a = x[static_cast<long long>(i) * d + c], b = y[static_cast<long long>(j) * d + c];
    lengths += __fmul_rn(a, a) + __fmul_rn(b, b);
    product = fmaf(a, b, product);
  }
  const float square = lengths - 2 * product;
  out[static_cast<long long>(i) * m + j] = expf(-sqrtf(square) / ell);
}

extern "C" void solve(const float* x, const float* y, float* out, int n, int m, int d, float ell,
                      cudaStream_t stream) {
  laplace<<<dim3((m + 31) / 32, (n + 7) / 8), dim3(32, 8), 0, stream>>>(x, y, out, n, m, d, ell);
}
