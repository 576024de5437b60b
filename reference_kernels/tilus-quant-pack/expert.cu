// Specialist: a block has a group of 128 k and 128 columns. It reads them once, 8 bytes a lane, and
// keeps them in registers; maxima over the group go through shared memory. Codes are laid out as
// bytes in shared memory, from where a thread takes 32 of one k, which are exactly `bits` words.
#include <cuda_fp16.h>

namespace {

constexpr int kGroup = 128;
constexpr int kColumns = 128;
constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = kGroup / kWarps;  // of a warp
constexpr int kPitch = kColumns + 16;   // bytes between rows of codes, a multiple of 16

template <int kBits>
__global__ void __launch_bounds__(kThreads)
    quantise(const __half* __restrict__ w, __half* __restrict__ s, unsigned* __restrict__ words,
             int n) {
  __shared__ __align__(16) unsigned char codes[kGroup][kPitch];
  __shared__ float maxima[kWarps][kColumns];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first_column = blockIdx.x * kColumns, own = first_column + lane * 4;
  const long long first_row = static_cast<long long>(blockIdx.y) * kGroup;
  constexpr int kMost = (1 << (kBits - 1)) - 1;

  uint2 packs[kRows];
  float largest[4] = {};
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    packs[r] =
        own < n
            ? __ldcs(reinterpret_cast<const uint2*>(w + (first_row + warp + r * kWarps) * n + own))
            : make_uint2(0, 0);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&packs[r].x));
    const float2 high = __half22float2(*reinterpret_cast<const __half2*>(&packs[r].y));
    largest[0] = fmaxf(largest[0], fabsf(low.x));
    largest[1] = fmaxf(largest[1], fabsf(low.y));
    largest[2] = fmaxf(largest[2], fabsf(high.x));
    largest[3] = fmaxf(largest[3], fabsf(high.y));
  }
#pragma unroll
  for (int c = 0; c < 4; ++c) maxima[warp][lane * 4 + c] = largest[c];
  __syncthreads();
  float scales[4];
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    for (int other = 0; other < kWarps; ++other)
      largest[c] = fmaxf(largest[c], maxima[other][lane * 4 + c]);
    const __half scale = __float2half_rn(fmaxf(largest[c] / kMost, 6.103515625e-05f));
    scales[c] = __half2float(scale);
    if (warp == 0 && own < n) s[static_cast<long long>(blockIdx.y) * n + own + c] = scale;
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&packs[r].x));
    const float2 high = __half22float2(*reinterpret_cast<const __half2*>(&packs[r].y));
    const float values[4] = {low.x, low.y, high.x, high.y};
    unsigned packed = 0;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const int rounded = max(-kMost - 1, min(kMost, __float2int_rn(values[c] / scales[c])));
      packed |= (static_cast<unsigned>(rounded) & ((1u << kBits) - 1)) << (8 * c);
    }
    *reinterpret_cast<unsigned*>(&codes[warp + r * kWarps][lane * 4]) = packed;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kGroup * (kColumns / 32); i += kThreads) {
    const int row = i / (kColumns / 32), column = i % (kColumns / 32) * 32;
    if (first_column + column >= n) continue;
    unsigned four[8], result[kBits + 1] = {};
#pragma unroll
    for (int j = 0; j < 8; ++j)
      four[j] = *reinterpret_cast<const unsigned*>(&codes[row][column + j * 4]);
#pragma unroll
    for (int c = 0; c < 32; ++c) {
      const unsigned code = four[c / 4] >> (c % 4 * 8) & 255;
      const int bit = c * kBits;
      result[bit / 32] |= code << (bit % 32);
      if (bit % 32 + kBits > 32) result[bit / 32 + 1] |= code >> (32 - bit % 32);
    }
    unsigned* target = words + ((first_row + row) * n + first_column + column) / 32 * kBits;
#pragma unroll
    for (int j = 0; j < kBits; ++j) target[j] = result[j];
  }
}

}  // namespace

extern "C" void solve(const __half* w, __half* s, unsigned char* wq, int k, int n, int bits,
                      cudaStream_t stream) {
  const dim3 grid((n + kColumns - 1) / kColumns, k / kGroup);
  unsigned* words = reinterpret_cast<unsigned*>(wq);
  switch (bits) {
    case 2:
      return quantise<2><<<grid, kThreads, 0, stream>>>(w, s, words, n);
    case 3:
      return quantise<3><<<grid, kThreads, 0, stream>>>(w, s, words, n);
    case 4:
      return quantise<4><<<grid, kThreads, 0, stream>>>(w, s, words, n);
    case 5:
      return quantise<5><<<grid, kThreads, 0, stream>>>(w, s, words, n);
    case 6:
      return quantise<6><<<grid, kThreads, 0, stream>>>(w, s, words, n);
    default:
      return quantise<8><<<grid, kThreads, 0, stream>>>(w, s, words, n);
  }
}
