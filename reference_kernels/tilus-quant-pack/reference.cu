// Oracle: scales, then one thread a byte of the stream, bit by bit.
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
  s[static_cast<long long>(group) * n + column] = __float2half_rn(fmaxf(scale, 6.103515625e-05f));
}

__device__ unsigned code_of(const __half* w, const __half* s, long long element, int n, int bits) {
  const long long group = element / n / kGroup;
  const float ratio = __half2float(w[element]) / __half2float(s[group * n + element % n]);
  const int most = (1 << (bits - 1)) - 1;
  const int rounded = max(-most - 1, min(most, __float2int_rn(ratio)));
  return static_cast<unsigned>(rounded) & ((1u << bits) - 1);
}

__global__ void pack(const __half* w, const __half* s, unsigned char* wq, long long bytes, int n,
                     int bits) {
  const long long byte = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (byte >= bytes) return;
  unsigned packed = 0;
  for (int i = 0; i < 8; ++i) {
    const long long bit = byte * 8 + i;
    packed |= (code_of(w, s, bit / bits, n, bits) >> (bit % bits) & 1) << i;
  }
  wq[byte] = static_cast<unsigned char>(packed);
}

extern "C" void solve(const __half* w, __half* s, unsigned char* wq, int k, int n, int bits,
                      cudaStream_t stream) {
  const long long bytes = static_cast<long long>(k) * n * bits / 8;
  find_scales<<<dim3((n + 63) / 64, k / kGroup), 64, 0, stream>>>(w, s, n, bits);
  pack<<<static_cast<unsigned>((bytes + 127) / 128), 128, 0, stream>>>(w, s, wq, bytes, n, bits);
}
