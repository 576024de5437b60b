// Oracle: kernels, then one thread a product and lag, then sums, in double.
struct Problem {
  const float *phi, *nc, *psi, *nev, *mu, *alpha, *u, *sig;
  float *loss, *gmu, *galpha, *gu, *gsig;
  double *kernels, *products;  // [3][channels][channels][lags], [channels][channels][lags]
  int channels, lags, grid;
  float delta;
};

/// Kernel and derivatives of pair (i, j) at lag t.
struct Kernel {
  double value = 0, by_u = 0, by_sigma = 0;

  __device__ Kernel(const Problem& p, int pair, int t) {
    const double pi = 3.14159265358979324;
    const double x = t * static_cast<double>(p.delta), u = p.u[pair], sigma = p.sig[pair];
    if (x < u || x > u + 2 * sigma) return;
    const double a = (x - u) / sigma;
    value = 1 + cos(pi * a - pi);
    by_u = pi / sigma * sin(pi * a - pi);
    by_sigma = a * by_u;
  }
};

__global__ void make_kernels(const Problem p) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  const int size = p.channels * p.channels * p.lags;
  if (index >= size) return;
  const Kernel kernel(p, index / p.lags, index % p.lags);
  p.kernels[index] = kernel.value;
  p.kernels[size + index] = kernel.by_u;
  p.kernels[2 * size + index] = kernel.by_sigma;
}

/// products[m][l][t] = sum over k and s of alpha[m][k] kernel[m][k][s] psi[l][k][t][s].
__global__ void multiply(const Problem p) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x, c = p.channels;
  if (index >= c * c * p.lags) return;
  const int t = index % p.lags, l = index / p.lags % c, m = index / p.lags / c;
  double sum = 0;
  for (int k = 0; k < c; ++k)
    for (int s = 0; s < p.lags; ++s)
      sum += static_cast<double>(p.alpha[m * c + k]) * p.kernels[(m * c + k) * p.lags + s] *
             p.psi[((static_cast<long long>(l) * c + k) * p.lags + t) * p.lags + s];
  p.products[index] = sum;
}

/// One block, one thread a pair of channels; the first thread adds up the losses.
__global__ void finish(const Problem p) {
  const int c = p.channels, size = c * c * p.lags;
  const double delta = p.delta;
  double events = 0;
  for (int i = 0; i < c; ++i) events += p.nev[i];
  for (int pair = threadIdx.x; pair < c * c; pair += blockDim.x) {
    const int m = pair / c, l = pair % c;
    double by_alpha = 0, by_u = 0, by_sigma = 0;
    for (int t = 0; t < p.lags; ++t) {
      const int at = pair * p.lags + t;
      const double residual =
          delta * p.mu[m] * p.phi[l * p.lags + t] + delta * p.products[at] - p.nc[at];
      by_alpha += p.kernels[at] * residual;
      by_u += p.kernels[size + at] * residual;
      by_sigma += p.kernels[2 * size + at] * residual;
    }
    p.galpha[pair] = 2 / events * by_alpha;
    p.gu[pair] = 2 / events * p.alpha[pair] * by_u;
    p.gsig[pair] = 2 / events * p.alpha[pair] * by_sigma;
  }
  if (threadIdx.x != 0) return;
  for (int m = 0; m < c; ++m) {
    double loss = 0, excited = 0;  // by the kernels into channel m
    for (int j = 0; j < c; ++j)
      for (int t = 0; t < p.lags; ++t) {
        const int at = (m * c + j) * p.lags + t;
        const double weight = p.alpha[m * c + j] * p.kernels[at];
        excited += weight * p.phi[j * p.lags + t];
        loss += weight * (delta * p.products[at] - 2 * p.nc[at]);
      }
    loss += delta * p.grid * p.mu[m] * p.mu[m] + 2 * delta * p.mu[m] * excited -
            2.0 * p.mu[m] * p.nev[m];
    p.gmu[m] = 2 / events * (delta * p.grid * p.mu[m] + delta * excited - p.nev[m]);
    p.loss[m] = loss / events;
  }
}

extern "C" void solve(const float* phi, const float* nc, const float* psi, const float* nev,
                      const float* mu, const float* alpha, const float* u, const float* sig,
                      float* loss, float* gmu, float* galpha, float* gu, float* gsig, int channels,
                      int lags, int grid, float delta, cudaStream_t stream) {
  const size_t size = static_cast<size_t>(channels) * channels * lags;
  double* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(double) * 4 * size, stream);
  const Problem p{phi,  nc,  psi,    nev, mu,   alpha,   u,        sig,  loss, gmu,
                  galpha, gu, gsig, scratch, scratch + 3 * size, channels, lags, grid, delta};
  const int blocks = static_cast<int>((size + 63) / 64);
  make_kernels<<<blocks, 64, 0, stream>>>(p);
  multiply<<<blocks, 64, 0, stream>>>(p);
  finish<<<1, 128, 0, stream>>>(p);
  cudaFreeAsync(scratch, stream);
}
