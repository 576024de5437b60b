// Specialist: one warp an example, its samples side by side over the lanes, decoded once into shared
// memory as doubles; the sum by shuffles; a bitonic sort of the padded row, each warp for itself.
// Powers of ten come from a table in shared memory, since lanes want different ones.
namespace {

constexpr int kWarps = 4;

__constant__ double kPowers[41] = {
    1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7,
    1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,   1e4,   1e5,  1e6,  1e7,
    1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19, 1e20};


struct Problem {
  const unsigned char* __restrict__ signs;
  const unsigned char* __restrict__ digits;
  const unsigned char* __restrict__ exponents;
  float* __restrict__ values;
  float* __restrict__ means;
  float* __restrict__ medians;
  int batch, samples, places, range;
};

__global__ void __launch_bounds__(32 * kWarps) reduce(const Problem p, int padded) {
  extern __shared__ double rows[];
  __shared__ double powers[41];
  for (int i = threadIdx.x; i < 41; i += blockDim.x) powers[i] = kPowers[i];
  __syncthreads();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, b = blockIdx.x * kWarps + warp;
  if (b >= p.batch) return;
  double* row = rows + warp * padded;
  const long long first = static_cast<long long>(b) * p.samples;
  double sum = 0;
  for (int s = lane; s < padded; s += 32) {
    double value = INFINITY;  // padding sorts last
    if (s < p.samples) {
      const long long at = first + s;
      int mantissa = 0;
      if (p.places == 4) {
        const uchar4 four = __ldcs(reinterpret_cast<const uchar4*>(p.digits) + at);
        mantissa = (four.x - 2) * 1000 + (four.y - 2) * 100 + (four.z - 2) * 10 + (four.w - 2);
      } else {
        for (int i = 0; i < p.places; ++i)
          mantissa = mantissa * 10 + p.digits[at * p.places + i] - 2;
      }
      value = mantissa * powers[p.exponents[at] - 12 - p.range + 20];
      if (p.signs[at] == 1) value = -value;
      __stcs(p.values + at, static_cast<float>(value));
      sum += value;
    }
    row[s] = value;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    sum += __shfl_xor_sync(~0u, sum, distance);
  __syncwarp();
  for (int run = 2; run <= padded; run *= 2)
    for (int distance = run / 2; distance > 0; distance /= 2) {
      for (int i = lane; i < padded / 2; i += 32) {
        const int low = i / distance * 2 * distance + i % distance, high = low + distance;
        const double x = row[low], y = row[high];
        if ((x > y) == ((low & run) == 0)) {
          row[low] = y;
          row[high] = x;
        }
      }
      __syncwarp();
    }
  if (lane != 0) return;
  p.means[b] = static_cast<float>(sum / p.samples);
  p.medians[b] =
      static_cast<float>((row[(p.samples - 1) / 2] + row[p.samples / 2]) / 2);
}

}  // namespace

extern "C" void solve(const unsigned char* signs, const unsigned char* digits,
                      const unsigned char* exponents, float* values, float* means, float* medians,
                      int batch, int samples, int places, int range, cudaStream_t stream) {
  const Problem p{signs, digits, exponents, values, means, medians, batch, samples, places, range};
  int padded = 2;
  while (padded < samples) padded *= 2;
  reduce<<<(batch + kWarps - 1) / kWarps, 32 * kWarps, sizeof(double) * kWarps * padded, stream>>>(
      p, padded);
}
