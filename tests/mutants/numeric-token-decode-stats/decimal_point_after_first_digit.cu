// task: numeric-token-decode-stats
// expect: wrong_output
// reason: mismatch
// case: ragged
// Divides by 10^(places - 1).
constexpr int kMostSamples = 512;

__constant__ double kPowers[41] = {
    1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7,
    1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,   1e4,   1e5,  1e6,  1e7,
    1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19, 1e20};

__device__ double decoded(const unsigned char* signs, const unsigned char* digits,
                          const unsigned char* exponents, long long at, int places, int range) {
  int mantissa = 0;
  for (int i = 0; i < places; ++i) mantissa = mantissa * 10 + digits[at * places + i] - 2;
  const double size = mantissa * kPowers[exponents[at] - 12 - range + 21 - places];
  return signs[at] == 1 ? -size : size;
}

__global__ void reduce(const unsigned char* signs, const unsigned char* digits,
                       const unsigned char* exponents, float* values, float* means, float* medians,
                       int batch, int samples, int places, int range) {
  const int b = blockIdx.x * blockDim.x + threadIdx.x;
  if (b >= batch) return;
  double sorted[kMostSamples], sum = 0;
  for (int s = 0; s < samples; ++s) {
    const long long at = static_cast<long long>(b) * samples + s;
    const double value = decoded(signs, digits, exponents, at, places, range);
    values[at] = static_cast<float>(value);
    sum += value;
    int place = s;
    for (; place > 0 && sorted[place - 1] > value; --place) sorted[place] = sorted[place - 1];
    sorted[place] = value;
  }
  means[b] = static_cast<float>(sum / samples);
  medians[b] = static_cast<float>((sorted[(samples - 1) / 2] + sorted[samples / 2]) / 2);
}

extern "C" void solve(const unsigned char* signs, const unsigned char* digits,
                      const unsigned char* exponents, float* values, float* means, float* medians,
                      int batch, int samples, int places, int range, cudaStream_t stream) {
  reduce<<<(batch + 63) / 64, 64, 0, stream>>>(signs, digits, exponents, values, means, medians,
                                               batch, samples, places, range);
}
