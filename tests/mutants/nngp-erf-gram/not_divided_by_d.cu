// task: nngp-erf-gram
// expect: wrong_output
// reason: mismatch
// case: ragged
// Leaves the inner products undivided.
__global__ void erf_kernel(const float* x, const float* y, float* out, int n, int m, int d,
                           int layers, float sw2, float sb2) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= n || j >= m) return;
  const float* a = x + static_cast<long long>(i) * d;
  const float* b = y + static_cast<long long>(j) * d;
  float s = 0, sx = 0, sy = 0;
  for (int c = 0; c < d; ++c) {
    s += a[c] * b[c];
    sx += a[c] * a[c];
    sy += b[c] * b[c];
  }
  s = sw2 * s + sb2;
  sx = sw2 * sx + sb2;
  sy = sw2 * sy + sb2;
  const float factor = sw2 * 0.636619772f;
  for (int layer = 0; layer < layers; ++layer) {
    s = factor * asinf(2 * s / sqrtf((1 + 2 * sx) * (1 + 2 * sy))) + sb2;
    sx = factor * asinf(2 * sx / (1 + 2 * sx)) + sb2;
    sy = factor * asinf(2 * sy / (1 + 2 * sy)) + sb2;
  }
  out[static_cast<long long>(i) * m + j] = s;
}

extern "C" void solve(const float* x, const float* y, float* out, int n, int m, int d, int layers,
                      float sw2, float sb2, cudaStream_t stream) {
  erf_kernel<<<dim3((m + 31) / 32, (n + 7) / 8), dim3(32, 8), 0, stream>>>(x, y, out, n, m, d,
                                                                           layers, sw2, sb2);
}
