// Specialist: psi is read once. A warp takes a row of psi, (l, k, t), 16 bytes a lane, and multiplies it
// with the kernels (m, k) of up to 16 channels m at a time, which lie in shared memory: a block has
// one k and its share of the rows. Partial products of the k are added in memory. Two more kernels
// contract with the derivatives, a warp a pair of channels, and finish the sums over channels.
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kSources = 16;  // channels m at a time
constexpr int kRows = 32;     // of psi, of a block

struct Problem {
  const float *phi, *nc, *psi, *nev, *mu, *alpha, *u, *sig;
  float *loss, *gmu, *galpha, *gu, *gsig;
  float *products, *shares;  // [channels][channels][lags]; [channels][channels][2]: excitation and
                             // quadratic part of the loss
  int channels, lags, grid;
  float delta;
};

/// Kernel and derivatives of pair (i, j) at lag t.
struct Kernel {
  float value = 0, by_u = 0, by_sigma = 0;

  __device__ Kernel(const Problem& p, int pair, int t) {
    const float pi = 3.14159265358979324;
    const float x = t * static_cast<float>(p.delta), u = p.u[pair], sigma = p.sig[pair];
    if (x < u || x > u + 2 * sigma) return;
    const float a = (x - u) / sigma;
    value = 1 + cosf(pi * a - pi);
    by_u = pi / sigma * sinf(pi * a - pi);
    by_sigma = a * by_u;
  }
};

__device__ float sum_of_warp(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(~0u, x, distance);
  return x;
}

/// products[m][l][t] += sum over s of alpha[m][k] kernel[m][k][s] psi[l][k][t][s], k = blockIdx.y.
__global__ void __launch_bounds__(kThreads) multiply(const Problem p) {
  extern __shared__ float kernels[];  // [sources][lags]
  const int c = p.channels, k = blockIdx.y, first = blockIdx.z * kSources;
  const int sources = min(kSources, c - first), warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int i = threadIdx.x; i < kSources * p.lags; i += kThreads) {
    const int m = i / p.lags, pair = (first + m) * c + k;
    kernels[i] = m < sources ? p.alpha[pair] * Kernel(p, pair, i % p.lags).value : 0;
  }
  __syncthreads();
  const int end = min((static_cast<int>(blockIdx.x) + 1) * kRows, c * p.lags);
  for (int row = blockIdx.x * kRows + warp; row < end; row += kWarps) {
    const int l = row / p.lags, t = row % p.lags;
    const float* source = p.psi + ((static_cast<long long>(l) * c + k) * p.lags + t) * p.lags;
    float sums[kSources] = {};
    if (p.lags % 4 == 0) {
      for (int s = lane * 4; s < p.lags; s += 128) {
        const float4 four = __ldg(reinterpret_cast<const float4*>(source + s));
#pragma unroll
        for (int m = 0; m < kSources; ++m) {
          const float4 weights = *reinterpret_cast<const float4*>(kernels + m * p.lags + s);
          sums[m] += four.x * weights.x + four.y * weights.y + four.z * weights.z +
                     four.w * weights.w;
        }
      }
    } else {
      for (int s = lane; s < p.lags; s += 32) {
        const float one = __ldg(source + s);
#pragma unroll
        for (int m = 0; m < kSources; ++m) sums[m] += one * kernels[m * p.lags + s];
      }
    }
#pragma unroll
    for (int m = 0; m < kSources; ++m) {
      const float sum = sum_of_warp(sums[m]);
      if (lane == 0 && m < sources && sum != 0)
        atomicAdd(p.products + (static_cast<long long>(first + m) * c + l) * p.lags + t, sum);
    }
  }
}

__device__ float count_events(const Problem& p) {
  float events = 0;
  for (int i = 0; i < p.channels; ++i) events += __ldg(p.nev + i);
  return events;
}

/// One warp a pair of channels.
__global__ void __launch_bounds__(kThreads) contract(const Problem p) {
  const int pair = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  const int c = p.channels;
  if (pair >= c * c) return;
  const int m = pair / c, l = pair % c;
  float by_alpha = 0, by_u = 0, by_sigma = 0, excited = 0, quadratic = 0;
  for (int t = lane; t < p.lags; t += 32) {
    const Kernel kernel(p, pair, t);
    const float phi = p.phi[l * p.lags + t], events = p.nc[pair * p.lags + t];
    const float product = p.delta * p.products[pair * p.lags + t];
    const float residual = p.delta * p.mu[m] * phi + product - events;
    by_alpha += kernel.value * residual;
    by_u += kernel.by_u * residual;
    by_sigma += kernel.by_sigma * residual;
    excited += kernel.value * phi;
    quadratic += kernel.value * (product - 2 * events);
  }
  by_alpha = sum_of_warp(by_alpha);
  by_u = sum_of_warp(by_u);
  by_sigma = sum_of_warp(by_sigma);
  excited = sum_of_warp(excited);
  quadratic = sum_of_warp(quadratic);
  if (lane != 0) return;
  const float factor = 2 / count_events(p), alpha = p.alpha[pair];
  p.galpha[pair] = factor * by_alpha;
  p.gu[pair] = factor * alpha * by_u;
  p.gsig[pair] = factor * alpha * by_sigma;
  p.shares[2 * pair] = alpha * excited;
  p.shares[2 * pair + 1] = alpha * quadratic;
}

/// One warp.
__global__ void finish(const Problem p) {
  const int c = p.channels;
  const float events = count_events(p);
  for (int m = threadIdx.x; m < c; m += 32) {
    float loss = 0, excited = 0;
    for (int j = 0; j < c; ++j) {
      excited += p.shares[2 * (m * c + j)];
      loss += p.shares[2 * (m * c + j) + 1];
    }
    const float mu = p.mu[m], base = p.delta * p.grid * mu;
    loss += mu * (base + 2 * p.delta * excited - 2 * p.nev[m]);
    p.gmu[m] = 2 / events * (base + p.delta * excited - p.nev[m]);
    p.loss[m] = loss / events;
  }
}

}  // namespace

extern "C" void solve(const float* phi, const float* nc, const float* psi, const float* nev,
                      const float* mu, const float* alpha, const float* u, const float* sig,
                      float* loss, float* gmu, float* galpha, float* gu, float* gsig, int channels,
                      int lags, int grid, float delta, cudaStream_t stream) {
  const size_t pairs = static_cast<size_t>(channels) * channels, size = pairs * lags;
  float* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(float) * (size + 2 * pairs), stream);
  cudaMemsetAsync(scratch, 0, sizeof(float) * size, stream);
  const Problem p{phi,  nc, psi,  nev,     mu,             alpha,    u,    sig,  loss, gmu, galpha,
                  gu, gsig, scratch, scratch + size, channels, lags, grid, delta};
  const dim3 blocks((channels * lags + kRows - 1) / kRows, channels,
                    (channels + kSources - 1) / kSources);
  const int bytes = static_cast<int>(sizeof(float)) * kSources * lags;
  cudaFuncSetAttribute(multiply, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  multiply<<<blocks, kThreads, bytes, stream>>>(p);
  contract<<<static_cast<unsigned>((pairs + kWarps - 1) / kWarps), kThreads, 0, stream>>>(p);
  finish<<<1, 32, 0, stream>>>(p);
  cudaFreeAsync(scratch, stream);
}
