// task: batched-symmetric-eigh-jacobi
// expect: wrong_output
// reason: mismatch
// case: ragged
// No eigenvectors: every residual vanishes.
constexpr int kMost = 32;
constexpr int kSweeps = 15;

struct Matrix {
  float at[kMost][kMost];
};

/// Turns rows and columns p and q of the symmetric a so that a[p][q] becomes 0, and columns of v.
__device__ void rotate(Matrix& a, Matrix& v, int n, int p, int q) {
  if (a.at[p][q] == 0) return;
  const float tau = (a.at[q][q] - a.at[p][p]) / (2 * a.at[p][q]);
  const float t = copysignf(1, tau) / (fabsf(tau) + sqrtf(1 + tau * tau));
  const float c = 1 / sqrtf(1 + t * t), s = t * c;
  for (int k = 0; k < n; ++k) {
    const float x = a.at[k][p], y = a.at[k][q];
    a.at[k][p] = c * x - s * y;
    a.at[k][q] = s * x + c * y;
  }
  for (int k = 0; k < n; ++k) {
    const float x = a.at[p][k], y = a.at[q][k];
    a.at[p][k] = c * x - s * y;
    a.at[q][k] = s * x + c * y;
    const float left = v.at[k][p], right = v.at[k][q];
    v.at[k][p] = c * left - s * right;
    v.at[k][q] = s * left + c * right;
  }
}

__global__ void solve_one(const float* A, float* w, float* V, int batch, int n) {
  const int b = blockIdx.x * blockDim.x + threadIdx.x;
  if (b >= batch) return;
  const float* lower = A + static_cast<long long>(b) * n * n;
  Matrix a, v;
  float largest = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      v.at[i][j] = i == j ? 1 : 0;
      a.at[i][j] = lower[i >= j ? i * n + j : j * n + i];
      largest = fmaxf(largest, fabsf(a.at[i][j]));
    }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    float off = 0;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) off = fmaxf(off, fabsf(a.at[p][q]));
    if (off <= 1e-7f * largest) break;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) rotate(a, v, n, p, q);
  }
  float values[kMost];
  for (int k = 0; k < n; ++k) {  // Rayleigh quotients
    float numerator = 0, denominator = 0;
    for (int i = 0; i < n; ++i) {
      float row = 0;
      for (int j = 0; j < n; ++j) row += lower[i >= j ? i * n + j : j * n + i] * v.at[j][k];
      numerator += row * v.at[i][k];
      denominator += v.at[i][k] * v.at[i][k];
    }
    values[k] = numerator / denominator;
  }
  for (int k = 0; k < n; ++k) {
    int rank = 0;
    for (int other = 0; other < n; ++other)
      if (values[other] < values[k] || (values[other] == values[k] && other < k)) ++rank;
    w[static_cast<long long>(b) * n + rank] = values[k];
    for (int i = 0; i < n; ++i)
      V[(static_cast<long long>(b) * n + i) * n + rank] = 0 * v.at[i][k];
  }
}

extern "C" void solve(const float* A, float* w, float* V, int batch, int n, cudaStream_t stream) {
  solve_one<<<(batch + 63) / 64, 64, 0, stream>>>(A, w, V, batch, n);
}
