// task: fourier-kv-compress
// expect: wrong_output
// reason: mismatch
// case: ragged
// The sines of the usual complex transform.
#include <cuda_fp16.h>

__global__ void transform(const __half* x, float* coef, int length, int channels, int orders,
                          int window, int start) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.y, b = blockIdx.z;
  if (c >= channels) return;
  float cosines = 0, sines = 0;
  for (int t = 0; t < length; ++t) {
    const long long phase = static_cast<long long>(n) * (t + start) % window;
    float sine, cosine;
    sincospif(float(2 * phase) / window, &sine, &cosine);
    const float value = __half2float(x[(static_cast<long long>(b) * length + t) * channels + c]);
    cosines += cosine * value;
    sines -= sine * value;
  }
  const long long row = static_cast<long long>(b) * 2 * orders + n;
  coef[row * channels + c] = static_cast<float>(cosines);
  coef[(row + orders) * channels + c] = static_cast<float>(sines);
}

extern "C" void solve(const __half* x, float* coef, int batch, int length, int channels, int orders,
                      int window, int start, cudaStream_t stream) {
  transform<<<dim3((channels + 63) / 64, orders, batch), 64, 0, stream>>>(x, coef, length, channels,
                                                                          orders, window, start);
}
