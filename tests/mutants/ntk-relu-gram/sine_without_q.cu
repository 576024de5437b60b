// task: ntk-relu-gram
// expect: wrong_output
// reason: mismatch
// case: scaled
// Leaves the sine unscaled.
__global__ void tangent_kernel(const float* x, const float* y, float* out, int n, int m, int d,
                               int layers, float beta) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= n || j >= m) return;
  const float* a = x + static_cast<long long>(i) * d;
  const float* b = y + static_cast<long long>(j) * d;
  const float pi = 3.14159265f;
  float s = 0, sx = 0, sy = 0;
  for (int c = 0; c < d; ++c) {
    s += a[c] * b[c];
    sx += a[c] * a[c];
    sy += b[c] * b[c];
  }
  const float bias = beta * beta;
  s = s / d + bias;
  sx = sx / d + bias;
  sy = sy / d + bias;
  float t = s;
  for (int layer = 1; layer < layers; ++layer) {
    const float q = sqrtf(sx * sy);
    const float u = q > 0 ? fminf(fmaxf(s / q, -1.0f), 1.0f) : 0.0f;
    const float angle = acosf(u);
    s = sinf(angle) / pi + q / pi * (pi - angle) * u + bias;
    t = t * (pi - angle) / pi + s;
    sx += bias;
    sy += bias;
  }
  out[static_cast<long long>(i) * m + j] = t;
}

extern "C" void solve(const float* x, const float* y, float* out, int n, int m, int d, int layers,
                      float beta, cudaStream_t stream) {
  tangent_kernel<<<dim3((m + 31) / 32, (n + 7) / 8), dim3(32, 8), 0, stream>>>(x, y, out, n, m, d,
                                                                               layers, beta);
}
