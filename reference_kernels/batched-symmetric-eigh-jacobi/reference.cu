// Oracle: one thread a matrix, Jacobi's method row by row in double, until nothing is left off the
// diagonal.
constexpr int kSweeps = 30;

/// Turns rows and columns p and q of the symmetric a so that a[p][q] becomes 0, and columns of v.
__device__ void rotate(double* a, double* v, int n, int p, int q) {
  if (a[p * n + q] == 0) return;
  const double tau = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
  const double t = (tau >= 0 ? 1 : -1) / (fabs(tau) + sqrt(1 + tau * tau));
  const double c = 1 / sqrt(1 + t * t), s = t * c;
  for (int k = 0; k < n; ++k) {
    const double x = a[k * n + p], y = a[k * n + q];
    a[k * n + p] = c * x - s * y;
    a[k * n + q] = s * x + c * y;
  }
  for (int k = 0; k < n; ++k) {
    const double x = a[p * n + k], y = a[q * n + k];
    a[p * n + k] = c * x - s * y;
    a[q * n + k] = s * x + c * y;
    const double left = v[k * n + p], right = v[k * n + q];
    v[k * n + p] = c * left - s * right;
    v[k * n + q] = s * left + c * right;
  }
}

__global__ void solve_one(const float* A, float* w, float* V, double* scratch, int batch, int n) {
  const int b = blockIdx.x * blockDim.x + threadIdx.x;
  if (b >= batch) return;
  const long long first = static_cast<long long>(b) * n * n;
  double* a = scratch + 2 * first;
  double* v = a + n * n;
  double norm = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      a[i * n + j] = A[first + (i >= j ? i * n + j : j * n + i)];
      v[i * n + j] = i == j ? 1 : 0;
      norm += a[i * n + j] * a[i * n + j];
    }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double off = 0;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) off += a[p * n + q] * a[p * n + q];
    if (off <= 1e-30 * norm) break;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) rotate(a, v, n, p, q);
  }
  for (int k = 0; k < n; ++k) {
    int rank = 0;  // of eigenvalue k
    for (int other = 0; other < n; ++other) {
      const double mine = a[k * n + k], theirs = a[other * n + other];
      if (theirs < mine || (theirs == mine && other < k)) ++rank;
    }
    w[static_cast<long long>(b) * n + rank] = static_cast<float>(a[k * n + k]);
    for (int i = 0; i < n; ++i)
      V[first + i * n + rank] = static_cast<float>(v[i * n + k]);
  }
}

extern "C" void solve(const float* A, float* w, float* V, int batch, int n, cudaStream_t stream) {
  double* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(double) * 2 * batch * n * n, stream);
  solve_one<<<(batch + 31) / 32, 32, 0, stream>>>(A, w, V, scratch, batch, n);
  cudaFreeAsync(scratch, stream);
}
