// task: kernel-halving-batch
// expect: wrong_output
// reason: mismatch
// case: ragged
// Exchanges the halves.
__device__ double kernel(const float* x, const float* y, int dim, double gamma) {
  double squares = 0;
  for (int d = 0; d < dim; ++d) {
    const double difference = static_cast<double>(x[d]) - y[d];
    squares += difference * difference;
  }
  return exp(-gamma * squares);
}

/// Thresholds of the walk. Returns that of a pair whose kernel distance squared is b2.
struct Walk {
  double sigma2 = 0, factor;

  __device__ double next(double b2) {
    double threshold = fmax(sqrt(sigma2 * b2 * factor), b2);
    if (sigma2 == 0) {
      sigma2 = b2;
    } else if (threshold != 0) {
      const double growth = 1 + (b2 / threshold - 2) * sigma2 / threshold;
      if (growth > 0) sigma2 += b2 * growth;
    }
    return threshold == 0 ? 1 : threshold;
  }
};

__global__ void halve(const float* x, const double* u, int* halves, int points, int dim,
                      double gamma, double delta) {
  const int set = blockIdx.x, pairs = points / 2;
  const float* own = x + static_cast<long long>(set) * points * dim;
  int* first = halves + static_cast<long long>(set) * points;
  int* second = first + pairs;
  Walk walk;
  walk.factor = 2 * log(2 * points / delta);
  for (int i = 0; i < pairs; ++i) {
    const float *a = own + 2 * i * dim, *b = a + dim;
    const double threshold = walk.next(2 - 2 * kernel(a, b, dim, gamma));
    double alpha = 0;
    for (int j = threadIdx.x; j < i; j += 32) {
      const float *in_first = own + first[j] * dim, *in_second = own + second[j] * dim;
      alpha += kernel(a, in_second, dim, gamma) - kernel(a, in_first, dim, gamma) +
               kernel(b, in_first, dim, gamma) - kernel(b, in_second, dim, gamma);
    }
    for (int distance = 16; distance > 0; distance /= 2)
      alpha += __shfl_xor_sync(~0u, alpha, distance);
    const bool exchanged =
        u[static_cast<long long>(set) * pairs + i] > 0.5 * (1 - alpha / threshold);
    if (threadIdx.x == 0) first[i] = exchanged ? 2 * i + 1 : 2 * i;
    if (threadIdx.x == 0) second[i] = exchanged ? 2 * i : 2 * i + 1;
    __syncwarp();
  }
}

extern "C" void solve(const float* x, const double* u, int* halves, int batch, int points, int dim,
                      double gamma, double delta, cudaStream_t stream) {
  halve<<<batch, 32, 0, stream>>>(x, u, halves, points, dim, gamma, delta);
}
