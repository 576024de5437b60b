// Oracle: one thread an entry, in double.
__global__ void tangent_kernel(const float* x, const float* y, float* out, int n, int m, int d,
                               int layers, double beta) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<long long>(n) * m) return;
  const float* a = x + index / m * d;
  const float* b = y + index % m * d;
  const double pi = 3.14159265358979323846;
  double s = 0, sx = 0, sy = 0;
  for (int c = 0; c < d; ++c) {
    s += static_cast<double>(a[c]) * b[c];
    sx += static_cast<double>(a[c]) * a[c];
    sy += static_cast<double>(b[c]) * b[c];
  }
  const double bias = beta * beta;
  s = s / d + bias;
  sx = sx / d + bias;
  sy = sy / d + bias;
  double t = s;
  for (int layer = 1; layer < layers; ++layer) {
    const double q = sqrt(sx * sy);
    const double u = q > 0 ? fmin(fmax(s / q, -1.0), 1.0) : 0.0;
    const double angle = acos(u);
    s = q / pi * (sin(angle) + (pi - angle) * u) + bias;
    t = t * (pi - angle) / pi + s;
    sx += bias;
    sy += bias;
  }
  out[index] = static_cast<float>(t);
}

extern "C" void solve(const float* x, const float* y, float* out, int n, int m, int d, int layers,
                      float beta, cudaStream_t stream) {
  const long long entries = static_cast<long long>(n) * m;
  tangent_kernel<<<static_cast<unsigned>((entries + 127) / 128), 128, 0, stream>>>(x, y, out, n, m,
                                                                                   d, layers, beta);
}
