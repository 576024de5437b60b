// Specialist: one block a set. Instead of summing over earlier pairs for each new one, every point
// keeps the signed sum of kernels to all points assigned so far, and a decision needs two of these:
// alpha = sum(a) - sum(b). After it, all later points add their two kernels at the same time. The
// owners of the next pair publish their sums, so a pair costs one barrier; all threads repeat the
// decision's few operations themselves. Points lie in shared memory, element by element.
namespace {

constexpr int kPerThread = 8;

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

template <int kThreads>
__global__ void __launch_bounds__(kThreads) halve(const float* __restrict__ x,
                                                  const double* __restrict__ u,
                                                  int* __restrict__ halves, int points, int dim,
                                                  double gamma, double delta) {
  extern __shared__ float coordinates[];  // [dim][points]
  __shared__ double published[2][2];
  const int set = blockIdx.x, pairs = points / 2;
  const float* own = x + static_cast<long long>(set) * points * dim;
  for (int i = threadIdx.x; i < points * dim; i += kThreads)
    coordinates[i % dim * points + i / dim] = own[i];
  if (threadIdx.x < 2) published[0][threadIdx.x] = 0;
  __syncthreads();
  const auto kernel = [&](int a, int b) {
    double squares = 0;
    for (int d = 0; d < dim; ++d) {
      const double difference =
          static_cast<double>(coordinates[d * points + a]) - coordinates[d * points + b];
      squares += difference * difference;
    }
    return exp(-gamma * squares);
  };
  Walk walk;
  walk.factor = 2 * log(2 * points / delta);
  double sums[kPerThread] = {};  // of points threadIdx.x + k * kThreads
  int* first = halves + static_cast<long long>(set) * points;
  for (int i = 0; i < pairs; ++i) {
    const int a = 2 * i, b = a + 1;
    const double threshold = walk.next(2 - 2 * kernel(a, b));
    const double alpha = published[i % 2][0] - published[i % 2][1];
    const bool exchanged =
        u[static_cast<long long>(set) * pairs + i] <= 0.5 * (1 - alpha / threshold);
    if (threadIdx.x == 0) {
      first[i] = exchanged ? b : a;
      first[pairs + i] = exchanged ? a : b;
    }
    const double sign = exchanged ? 1 : -1;
#pragma unroll
    for (int k = 0; k < kPerThread; ++k) {
      const int point = threadIdx.x + k * kThreads;
      if (point <= b || point >= points) continue;
      sums[k] += sign * (kernel(point, a) - kernel(point, b));
      if (point <= b + 2) published[(i + 1) % 2][point - b - 1] = sums[k];
    }
    __syncthreads();
  }
}

template <int kThreads>
void launch(const float* x, const double* u, int* halves, int batch, int points, int dim,
            double gamma, double delta, cudaStream_t stream) {
  const int bytes = static_cast<int>(sizeof(float)) * points * dim;
  cudaFuncSetAttribute(halve<kThreads>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  halve<kThreads><<<batch, kThreads, bytes, stream>>>(x, u, halves, points, dim, gamma, delta);
}

}  // namespace

extern "C" void solve(const float* x, const double* u, int* halves, int batch, int points, int dim,
                      double gamma, double delta, cudaStream_t stream) {
  if (points <= 256)
    launch<64>(x, u, halves, batch, points, dim, gamma, delta, stream);
  else
    launch<256>(x, u, halves, batch, points, dim, gamma, delta, stream);
}
