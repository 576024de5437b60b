// task: tilus-quant-pack
// expect: wrong_output
// reason: mismatch
// case: zero-groups
// Has no least scale.
#include <cuda_fp16.h>

constexpr int kGroup = 128;

/// One thread a group and column: the scale.
__global__ void find_scales(const __half* w, __half* s, int n, int bits) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x, group = blockIdx.y;
  if (column >= n) return;
  float largest = 0;
  for (int i = 0; i < kGroup; ++i)
    largest = fmaxf(
        largest, fabsf(__half2float(w[(static_cast<long long>(group) * kGroup + i) * n + column])));
  const float scale = largest / ((1 << (bits - 1)) - 1);
  s[static_cast<long long>(group) * n + column] = __float2half_rn(scale);
}

__device__ unsigned code_of(const __half* w, const __half* s, long long element, int n, int bits) {
  const long long group = element / n / kGroup;
  const float ratio = __half2float(w[element]) / __half2float(s[group * n + element % n]);
  const int most = (1 << (bits - 1)) - 1;
  const int rounded = max(-most - 1, min(most, __float2int_rn(ratio)));
  return static_cast<unsigned>(rounded) & ((1u << bits) - 1);
}

__global__ void pack(const __half* w, const __half* s, unsigned* words, long long codes, int n,
                     int bits) {
  const long long element = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (element >= codes) return;
  const unsigned long long window = static_cast<unsigned long long>(code_of(w, s, element, n, bits))
                                    << (element * bits % 32);
  const long long word = element * bits / 32;
  if (static_cast<unsigned>(window) != 0) atomicOr(words + word, static_cast<unsigned>(window));
  if (window >> 32 != 0) atomicOr(words + word + 1, static_cast<unsigned>(window >> 32));
}

extern "C" void solve(const __half* w, __half* s, unsigned char* wq, int k, int n, int bits,
                      cudaStream_t stream) {
  const long long codes = static_cast<long long>(k) * n;
  cudaMemsetAsync(wq, 0, codes * bits / 8, stream);
  find_scales<<<dim3((n + 63) / 64, k / kGroup), 64, 0, stream>>>(w, s, n, bits);
  pack<<<static_cast<unsigned>((codes + 127) / 128), 128, 0, stream>>>(
      w, s, reinterpret_cast<unsigned*>(wq), codes, n, bits);
}
