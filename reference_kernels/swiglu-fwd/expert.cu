// Specialist: 16 bytes of gates and 16 of ups a lane, two of each in flight per thread; y is
// written past the caches. Odd widths, whose rows start anywhere, take 2 bytes a lane.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 256;
constexpr int kPacksPerThread = 2;

/// kWidth elements that move in one access.
template <int kWidth>
struct PackOf;
template <>
struct PackOf<8> {
  using Type = uint4;
};
template <>
struct PackOf<1> {
  using Type = unsigned short;
};
template <int kWidth>
using Pack = typename PackOf<kWidth>::Type;

__device__ void unpack(const uint4& pack, float (&values)[8]) {
  const unsigned words[4] = {pack.x, pack.y, pack.z, pack.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = __uint_as_float(words[i] << 16);
    values[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
__device__ void unpack(const unsigned short& pack, float (&values)[1]) {
  values[0] = __uint_as_float(static_cast<unsigned>(pack) << 16);
}
__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
__device__ uint4 packed(const float (&values)[8]) {
  return make_uint4(rounded_pair(values[0], values[1]), rounded_pair(values[2], values[3]),
                    rounded_pair(values[4], values[5]), rounded_pair(values[6], values[7]));
}
__device__ unsigned short packed(const float (&values)[1]) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(values[0]));
}

template <int kWidth>
__device__ Pack<kWidth> gated(const Pack<kWidth>& gates, const Pack<kWidth>& ups) {
  float gate[kWidth], up[kWidth];
  unpack(gates, gate);
  unpack(ups, up);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) gate[i] = __fdividef(gate[i], 1 + __expf(-gate[i])) * up[i];
  return packed(gate);
}

/// `packs`: of a row of y. __fdividef gives 0 for divisors beyond 2^126, where the quotient is 0 for
/// all that bf16 and the tolerance can tell.
template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    swiglu(const Pack<kWidth>* __restrict__ gu, Pack<kWidth>* __restrict__ y, int packs) {
  gu += static_cast<long long>(blockIdx.y) * 2 * packs;
  y += static_cast<long long>(blockIdx.y) * packs;
  const int first = blockIdx.x * (kThreads * kPacksPerThread) + threadIdx.x;
  Pack<kWidth> gates[kPacksPerThread], ups[kPacksPerThread];
#pragma unroll
  for (int k = 0; k < kPacksPerThread; ++k) {
    const int i = first + k * kThreads;
    if (i >= packs) continue;
    gates[k] = __ldcs(gu + i);
    ups[k] = __ldcs(gu + packs + i);
  }
#pragma unroll
  for (int k = 0; k < kPacksPerThread; ++k)
    if (const int i = first + k * kThreads; i < packs)
      __stcs(y + i, gated<kWidth>(gates[k], ups[k]));
}

template <int kWidth>
void launch(const __nv_bfloat16* gu, __nv_bfloat16* y, int rows, int width, cudaStream_t stream) {
  constexpr int kMostRows = 65535;  // of one grid
  const int packs = width / kWidth;
  const int blocks = (packs - 1) / (kThreads * kPacksPerThread) + 1;
  for (int row = 0; row < rows; row += kMostRows) {
    const dim3 grid(blocks, min(rows - row, kMostRows));
    const long long done = static_cast<long long>(row) * width;
    swiglu<kWidth>
        <<<grid, kThreads, 0, stream>>>(reinterpret_cast<const Pack<kWidth>*>(gu + 2 * done),
                                        reinterpret_cast<Pack<kWidth>*>(y + done), packs);
  }
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* gu, __nv_bfloat16* y, int rows, int width,
                      cudaStream_t stream) {
  if (width % 8 == 0)
    launch<8>(gu, y, rows, width, stream);
  else
    launch<1>(gu, y, rows, width, stream);
}
