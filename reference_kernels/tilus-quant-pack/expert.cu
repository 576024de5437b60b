// Specialist: a block has a group of 128 k and 128 columns. It reads them once, 8 bytes a lane, and
// keeps them in registers; maxima over the group, two columns an instruction, go through shared
// memory. Quotients are a product with the rounded reciprocal and one correction by the remainder,
// which rounds like the division; adding 1.5 * 2^23 rounds them to whole numbers, whose lowest bits
// are the code. Codes are laid out as bytes in shared memory, from where a thread takes 32 of one
// k, which are exactly `bits` words.
#include <cuda_fp16.h>

namespace {

constexpr int kGroup = 128;
constexpr int kColumns = 128;
constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = kGroup / kWarps;  // of a warp
constexpr int kPitch = kColumns + 16;   // bytes between rows of codes, a multiple of 16

__device__ __half2 pair_of(unsigned bits) { return *reinterpret_cast<const __half2*>(&bits); }

/// Scales of neighbouring columns and what divides by them.
struct Divisor {
  float scale, reciprocal;

  /// The code in the lowest bits. The largest quotient is a whole number but for the rounding of
  /// the scale, so that no quotient needs a limit.
  __device__ unsigned code(float value) const {
    const float quotient = value * reciprocal;
    const float remainder = fmaf(-quotient, scale, value);
    return __float_as_uint(fmaf(remainder, reciprocal, quotient) + 12582912.0f);
  }
};

/// Four codes, from the bytes of a word to its lowest 4 kBits bits.
template <int kBits>
__device__ unsigned close_ranks(unsigned bytes) {
  if constexpr (kBits == 8) return bytes;
  constexpr unsigned kCode = (1u << kBits) - 1, kPairs = (1u << 2 * kBits) - 1;
  const unsigned pairs =
      (bytes & (kCode | kCode << 16)) | (bytes >> (8 - kBits) & (kCode | kCode << 16) << kBits);
  return (pairs & kPairs) | (pairs >> (16 - 2 * kBits) & kPairs << 2 * kBits);
}

template <int kBits>
__global__ void __launch_bounds__(kThreads)
    quantise(const __half* __restrict__ w, __half* __restrict__ s, unsigned* __restrict__ words,
             int n) {
  __shared__ __align__(16) unsigned char codes[kGroup][kPitch];
  __shared__ __half2 maxima[kWarps][kColumns / 2];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first_column = blockIdx.x * kColumns, own = first_column + lane * 4;
  const long long first_row = static_cast<long long>(blockIdx.y) * kGroup;
  constexpr int kMost = (1 << (kBits - 1)) - 1;

  uint2 packs[kRows];
  __half2 largest[2] = {__float2half2_rn(0), __float2half2_rn(0)};
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    packs[r] =
        own < n
            ? __ldcs(reinterpret_cast<const uint2*>(w + (first_row + warp + r * kWarps) * n + own))
            : make_uint2(0, 0);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    largest[0] = __hmax2(largest[0], __habs2(pair_of(packs[r].x)));
    largest[1] = __hmax2(largest[1], __habs2(pair_of(packs[r].y)));
  }
  maxima[warp][lane * 2] = largest[0];
  maxima[warp][lane * 2 + 1] = largest[1];
  __syncthreads();
#pragma unroll
  for (int other = 0; other < kWarps; ++other) {
    largest[0] = __hmax2(largest[0], maxima[other][lane * 2]);
    largest[1] = __hmax2(largest[1], maxima[other][lane * 2 + 1]);
  }
  Divisor divisors[4];
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    const __half2 pair = largest[c / 2];
    const float of_column = __half2float(c % 2 == 0 ? __low2half(pair) : __high2half(pair));
    const __half scale = __float2half_rn(fmaxf(of_column / kMost, 6.103515625e-05f));
    divisors[c].scale = __half2float(scale);
    divisors[c].reciprocal = 1 / divisors[c].scale;
    if (warp == 0 && own < n) s[static_cast<long long>(blockIdx.y) * n + own + c] = scale;
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float2 low = __half22float2(pair_of(packs[r].x));
    const float2 high = __half22float2(pair_of(packs[r].y));
    const unsigned first = __byte_perm(divisors[0].code(low.x), divisors[1].code(low.y), 0x0040);
    const unsigned second = __byte_perm(divisors[2].code(high.x), divisors[3].code(high.y), 0x0040);
    constexpr unsigned kCode = (1u << kBits) - 1;
    *reinterpret_cast<unsigned*>(&codes[warp + r * kWarps][lane * 4]) =
        __byte_perm(first, second, 0x5410) & kCode * 0x01010101u;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kGroup * (kColumns / 32); i += kThreads) {
    const int row = i / (kColumns / 32), column = i % (kColumns / 32) * 32;
    if (first_column + column >= n) continue;
    unsigned result[kBits + 1] = {};
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const unsigned four =
          close_ranks<kBits>(*reinterpret_cast<const unsigned*>(&codes[row][column + j * 4]));
      const int bit = j * 4 * kBits;
      result[bit / 32] |= four << (bit % 32);
      if (bit % 32 + 4 * kBits > 32) result[bit / 32 + 1] |= four >> (32 - bit % 32);
    }
    unsigned* target = words + ((first_row + row) * n + first_column + column) / 32 * kBits;
    if constexpr (kBits % 4 == 0) {
#pragma unroll
      for (int j = 0; j < kBits / 4; ++j)
        reinterpret_cast<uint4*>(target)[j] =
            make_uint4(result[4 * j], result[4 * j + 1], result[4 * j + 2], result[4 * j + 3]);
    } else if constexpr (kBits % 2 == 0) {
#pragma unroll
      for (int j = 0; j < kBits / 2; ++j)
        reinterpret_cast<uint2*>(target)[j] = make_uint2(result[2 * j], result[2 * j + 1]);
    } else {
#pragma unroll
      for (int j = 0; j < kBits; ++j) target[j] = result[j];
    }
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
