// Oracle: one thread an example, in double; the median as the value with so many below it.
__constant__ double kPowers[41] = {
    1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7,
    1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,   1e4,   1e5,  1e6,  1e7,
    1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19, 1e20};

__device__ double decoded(const unsigned char* signs, const unsigned char* digits,
                          const unsigned char* exponents, long long at, int places, int range) {
  int mantissa = 0;
  for (int i = 0; i < places; ++i) mantissa = mantissa * 10 + digits[at * places + i] - 2;
  const double size = mantissa * kPowers[exponents[at] - 12 - range + 20];
  return signs[at] == 1 ? -size : size;
}

__global__ void reduce(const unsigned char* signs, const unsigned char* digits,
                       const unsigned char* exponents, float* values, float* means, float* medians,
                       double* all, int batch, int samples, int places, int range) {
  const int b = blockIdx.x * blockDim.x + threadIdx.x;
  if (b >= batch) return;
  const long long first = static_cast<long long>(b) * samples;
  double* own = all + first;
  double sum = 0;
  for (int s = 0; s < samples; ++s) {
    own[s] = decoded(signs, digits, exponents, first + s, places, range);
    values[first + s] = static_cast<float>(own[s]);
    sum += own[s];
  }
  means[b] = static_cast<float>(sum / samples);
  double middle[2] = {};  // of ranks (samples - 1) / 2 and samples / 2
  for (int s = 0; s < samples; ++s) {
    int below = 0, equal = 0;
    for (int other = 0; other < samples; ++other) {
      below += own[other] < own[s];
      equal += own[other] == own[s];
    }
    for (int m = 0; m < 2; ++m) {
      const int rank = (samples - 1 + m) / 2;
      if (below <= rank && rank < below + equal) middle[m] = own[s];
    }
  }
  medians[b] = static_cast<float>((middle[0] + middle[1]) / 2);
}

extern "C" void solve(const unsigned char* signs, const unsigned char* digits,
                      const unsigned char* exponents, float* values, float* means, float* medians,
                      int batch, int samples, int places, int range, cudaStream_t stream) {
  double* all = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&all),
                  sizeof(double) * static_cast<size_t>(batch) * samples, stream);
  reduce<<<(batch + 63) / 64, 64, 0, stream>>>(signs, digits, exponents, values, means, medians, all,
                                               batch, samples, places, range);
  cudaFreeAsync(all, stream);
}
