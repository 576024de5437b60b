// task: volume-render-composite
// expect: wrong_output
// reason: mismatch
// case: ragged
// Leaves out the factor 100.
#include <cuda_fp16.h>

constexpr int kRun = 256;

__global__ void composite(const float* sigma, const __half* color, const float* z,
                          const float* dnorm, __half* rgb, float* acc, float* depth, int samples,
                          int channels) {
  __shared__ float weights[kRun], background;
  const long long ray = blockIdx.x;
  sigma += ray * samples;
  z += ray * samples;
  color += ray * samples * channels;
  float transmittance = 1, total = 0, depths = 0;
  for (int first_channel = 0; first_channel < channels; first_channel += blockDim.x) {
    const int c = first_channel + threadIdx.x;
    float sum = 0;
    for (int start = 0; start < samples; start += kRun) {
      const int count = min(kRun, samples - start);
      __syncthreads();
      if (threadIdx.x == 0) {
        if (start == 0) {
          transmittance = 1;
          total = depths = 0;
        }
        for (int s = start; s < start + count; ++s) {
          const float delta = s + 1 < samples ? (z[s + 1] - z[s]) * dnorm[ray] : 1e10f * dnorm[ray];
          const float a = 1 - expf(-fmaxf(sigma[s], 0.0f) * delta);
          const float weight = a * transmittance;
          weights[s - start] = weight;
          total += weight;
          depths += weight * z[s];
          transmittance *= 1 - a + 1e-10f;
        }
        background = transmittance;
      }
      __syncthreads();
      for (int s = 0; c < channels && s < count; ++s)
        sum += weights[s] * __half2float(color[static_cast<long long>(start + s) * channels + c]);
    }
    if (c < channels) rgb[ray * channels + c] = __float2half(sum + background);
  }
  if (threadIdx.x == 0) {
    acc[ray] = total;
    depth[ray] = depths;
  }
}

extern "C" void solve(const float* sigma, const __half* color, const float* z, const float* dnorm,
                      __half* rgb, float* acc, float* depth, int rays, int samples, int channels,
                      cudaStream_t stream) {
  composite<<<rays, 32, 0, stream>>>(sigma, color, z, dnorm, rgb, acc, depth, samples, channels);
}
