// Oracle: one thread an entry, in double.
__global__ void erf_kernel(const float* x, const float* y, float* out, int n, int m, int d,
                           int layers, double sw2, double sb2) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<long long>(n) * m) return;
  const float* a = x + index / m * d;
  const float* b = y + index % m * d;
  double s = 0, sx = 0, sy = 0;
  for (int c = 0; c < d; ++c) {
    s += static_cast<double>(a[c]) * b[c];
    sx += static_cast<double>(a[c]) * a[c];
    sy += static_cast<double>(b[c]) * b[c];
  }
  s = sw2 * s / d + sb2;
  sx = sw2 * sx / d + sb2;
  sy = sw2 * sy / d + sb2;
  const double factor = sw2 * 2 / 3.14159265358979323846;
  for (int layer = 0; layer < layers; ++layer) {
    s = factor * asin(2 * s / sqrt((1 + 2 * sx) * (1 + 2 * sy))) + sb2;
    sx = factor * asin(2 * sx / (1 + 2 * sx)) + sb2;
    sy = factor * asin(2 * sy / (1 + 2 * sy)) + sb2;
  }
  out[index] = static_cast<float>(s);
}

extern "C" void solve(const float* x, const float* y, float* out, int n, int m, int d, int layers,
                      float sw2, float sb2, cudaStream_t stream) {
  const long long entries = static_cast<long long>(n) * m;
  erf_kernel<<<static_cast<unsigned>((entries + 127) / 128), 128, 0, stream>>>(x, y, out, n, m, d,
                                                                               layers, sw2, sb2);
}
