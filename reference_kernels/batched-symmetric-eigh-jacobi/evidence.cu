// What every right answer has in common: one thread a matrix, in double. Sums and comparisons let
// NaN and infinities through: an answer with any has no finite residual.
__device__ double entry(const float* a, int n, int i, int j) {
  return i >= j ? a[i * n + j] : a[j * n + i];
}

__global__ void examine(const float* A, const float* w, const float* V, double* eigenvalues,
                        double* residual, double* orthogonality, int* descents, int batch, int n) {
  const int b = blockIdx.x * blockDim.x + threadIdx.x;
  if (b >= batch) return;
  const float* a = A + static_cast<long long>(b) * n * n;
  const float* v = V + static_cast<long long>(b) * n * n;
  const float* values = w + static_cast<long long>(b) * n;
  double squares = 0, errors = 0, products = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      squares += entry(a, n, i, j) * entry(a, n, i, j);
      double error = -static_cast<double>(v[i * n + j]) * values[j];
      double product = i == j ? -1 : 0;
      for (int k = 0; k < n; ++k) {
        error += entry(a, n, i, k) * v[k * n + j];
        product += static_cast<double>(v[k * n + i]) * v[k * n + j];
      }
      errors += error * error;
      products += product * product;
    }
  const double norm = squares > 0 ? sqrt(squares) : 1e-30;  // of zeros: w must be 0
  residual[b] = sqrt(errors) / norm;
  orthogonality[b] = sqrt(products / n);
  int count = 0;
  for (int k = 0; k < n; ++k) {
    eigenvalues[static_cast<long long>(b) * n + k] = values[k] / norm;
    if (k > 0 && !(values[k - 1] <= values[k])) ++count;
  }
  descents[b] = count;
}

extern "C" void solve(const float* A, const float* w, const float* V, double* eigenvalues,
                      double* residual, double* orthogonality, int* descents, int batch, int n,
                      cudaStream_t stream) {
  examine<<<(batch + 31) / 32, 32, 0, stream>>>(A, w, V, eigenvalues, residual, orthogonality,
                                                descents, batch, n);
}
