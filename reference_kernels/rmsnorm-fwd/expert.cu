// Specialist: a warp or a block keeps a row in registers, so that x is read and y is written once,
// 16 bytes a lane where rows start at multiples of 16 bytes, else 2. The weights come from the
// caches. Rows that do not fit are read twice.
#include <cuda_bf16.h>

namespace {

constexpr unsigned kAll = ~0u;

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

/// Sum over kTeam neighbouring threads; each gets it. A team of more than a warp is a whole block.
template <int kTeam>
__device__ float sum_over_team(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(kAll, value, distance);
  if constexpr (kTeam > 32) {
    constexpr int kWarps = kTeam / 32;
    __shared__ float of_warp[kWarps];
    __syncthreads();  // the values of the sum before this one have been read
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warp[threadIdx.x % kWarps];
#pragma unroll
    for (int distance = kWarps / 2; distance > 0; distance /= 2)
      value += __shfl_xor_sync(kAll, value, distance);
  }
  return value;
}

template <int kWidth>
__device__ float squares_of(const Pack<kWidth>& pack) {
  float values[kWidth], sum = 0;
  unpack(pack, values);
#pragma unroll
  for (const float value : values) sum += value * value;
  return sum;
}

template <int kWidth>
__device__ Pack<kWidth> scaled(const Pack<kWidth>& x, const Pack<kWidth>& w, float scale) {
  float values[kWidth], weights[kWidth];
  unpack(x, values);
  unpack(w, weights);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) values[i] *= scale * weights[i];
  return packed(values);
}

template <int kTeam>
constexpr int kThreadsOf = kTeam < 128 ? 128 : kTeam;

template <int kTeam, int kPacks, int kWidth>
__global__ void __launch_bounds__(kThreadsOf<kTeam>)
    rmsnorm_in_registers(const Pack<kWidth>* __restrict__ x, const Pack<kWidth>* __restrict__ w,
                         Pack<kWidth>* __restrict__ y, int rows, int packs, float eps) {
  const int row = blockIdx.x * (kThreadsOf<kTeam> / kTeam) + threadIdx.x / kTeam;
  if (row >= rows) return;  // whole warps, or nobody
  const int rank = threadIdx.x % kTeam;
  x += static_cast<long long>(row) * packs;
  y += static_cast<long long>(row) * packs;

  Pack<kWidth> values[kPacks];
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
    values[k] = rank + k * kTeam < packs ? x[rank + k * kTeam] : Pack<kWidth>{};
  float squares = 0;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) squares += squares_of<kWidth>(values[k]);
  const float scale = rsqrtf(sum_over_team<kTeam>(squares) / (packs * kWidth) + eps);
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
    if (const int i = rank + k * kTeam; i < packs)
      y[i] = scaled<kWidth>(values[k], __ldg(w + i), scale);
}

template <int kWidth>
__global__ void __launch_bounds__(1024)
    rmsnorm_in_two_passes(const Pack<kWidth>* __restrict__ x, const Pack<kWidth>* __restrict__ w,
                          Pack<kWidth>* __restrict__ y, int packs, float eps) {
  x += static_cast<long long>(blockIdx.x) * packs;
  y += static_cast<long long>(blockIdx.x) * packs;
  float squares = 0;
  for (int i = threadIdx.x; i < packs; i += 1024) squares += squares_of<kWidth>(x[i]);
  const float scale = rsqrtf(sum_over_team<1024>(squares) / (packs * kWidth) + eps);
  for (int i = threadIdx.x; i < packs; i += 1024) y[i] = scaled<kWidth>(x[i], __ldg(w + i), scale);
}

template <int kTeam, int kPacks, int kWidth>
void launch(const Pack<kWidth>* x, const Pack<kWidth>* w, Pack<kWidth>* y, int rows, int packs,
            float eps, cudaStream_t stream) {
  constexpr int kTeams = kThreadsOf<kTeam> / kTeam;
  rmsnorm_in_registers<kTeam, kPacks, kWidth>
      <<<(rows + kTeams - 1) / kTeams, kThreadsOf<kTeam>, 0, stream>>>(x, w, y, rows, packs, eps);
}

template <int kWidth>
void choose(const __nv_bfloat16* x_elements, const __nv_bfloat16* w_elements,
            __nv_bfloat16* y_elements, int rows, int cols, float eps, cudaStream_t stream) {
  const auto* x = reinterpret_cast<const Pack<kWidth>*>(x_elements);
  const auto* w = reinterpret_cast<const Pack<kWidth>*>(w_elements);
  auto* y = reinterpret_cast<Pack<kWidth>*>(y_elements);
  const int packs = cols / kWidth;
  if (packs <= 32 * 4)
    launch<32, 4, kWidth>(x, w, y, rows, packs, eps, stream);
  else if (packs <= 128 * 4)
    launch<128, 4, kWidth>(x, w, y, rows, packs, eps, stream);
  else if (packs <= 256 * 8)
    launch<256, 8, kWidth>(x, w, y, rows, packs, eps, stream);
  else if (packs <= 512 * 8)
    launch<512, 8, kWidth>(x, w, y, rows, packs, eps, stream);
  else
    rmsnorm_in_two_passes<kWidth><<<rows, 1024, 0, stream>>>(x, w, y, packs, eps);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w, __nv_bfloat16* y, int rows,
                      int cols, float eps, cudaStream_t stream) {
  if (cols % 8 == 0)
    choose<8>(x, w, y, rows, cols, eps, stream);
  else
    choose<1>(x, w, y, rows, cols, eps, stream);
}
