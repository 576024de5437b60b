// Specialist: a warp or a block keeps a row of x, and of dy for the gradient, in registers as it
// was stored, 16 bytes a lane; the sum of squares and that of x * dy are taken together, so each
// row is read and written once with one reduction. Rows that do not fit are read twice.
#include <cuda_bf16.h>

namespace {

constexpr unsigned kAll = ~0u;

__device__ void unpack(const uint4& pack, float (&values)[8]) {
  const unsigned words[4] = {pack.x, pack.y, pack.z, pack.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = __uint_as_float(words[i] << 16);
    values[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
__device__ uint4 packed(const float (&values)[8]) {
  return make_uint4(rounded_pair(values[0], values[1]), rounded_pair(values[2], values[3]),
                    rounded_pair(values[4], values[5]), rounded_pair(values[6], values[7]));
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

/// Sums of x * x and x * dy.
struct Sums {
  float squares = 0, products = 0;

  template <bool kBackward>
  __device__ void add(const uint4& x, const uint4& dy) {
    float values[8], gradients[8];
    unpack(x, values);
    unpack(dy, gradients);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      squares += values[i] * values[i];
      if (kBackward) products += values[i] * gradients[i];
    }
  }
};

/// What a row is scaled with: y = first * dy - second * x, or y = first * x.
struct Scales {
  float first, second;

  template <int kTeam, bool kBackward>
  static __device__ Scales of(const Sums& sums, int cols, float eps) {
    const float rstd = rsqrtf(sum_over_team<kTeam>(sums.squares) / cols + eps);
    if (!kBackward) return Scales{rstd, 0};
    const float mean = sum_over_team<kTeam>(sums.products) * rstd / cols;
    return Scales{rstd, rstd * rstd * mean};
  }

  template <bool kBackward>
  __device__ uint4 apply(const uint4& x, const uint4& dy) const {
    float values[8], gradients[8];
    unpack(x, values);
    unpack(dy, gradients);
#pragma unroll
    for (int i = 0; i < 8; ++i)
      values[i] = kBackward ? first * gradients[i] - second * values[i] : first * values[i];
    return packed(values);
  }
};

template <int kTeam>
constexpr int kThreadsOf = kTeam < 128 ? 128 : kTeam;

template <int kTeam, int kPacks, bool kBackward>
__global__ void __launch_bounds__(kThreadsOf<kTeam>)
    norm_in_registers(const uint4* __restrict__ x, const uint4* __restrict__ dy,
                      uint4* __restrict__ y, int rows, int packs, float eps) {
  const int row = blockIdx.x * (kThreadsOf<kTeam> / kTeam) + threadIdx.x / kTeam;
  if (row >= rows) return;  // whole warps, or nobody
  const int rank = threadIdx.x % kTeam;
  const long long start = static_cast<long long>(row) * packs;
  uint4 values[kPacks], gradients[kPacks];
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int i = rank + k * kTeam;
    values[k] = i < packs ? __ldcs(x + start + i) : uint4{};
    gradients[k] = kBackward && i < packs ? __ldcs(dy + start + i) : uint4{};
  }
  Sums sums;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) sums.add<kBackward>(values[k], gradients[k]);
  const Scales scales = Scales::of<kTeam, kBackward>(sums, packs * 8, eps);
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
    if (const int i = rank + k * kTeam; i < packs)
      __stcs(y + start + i, scales.apply<kBackward>(values[k], gradients[k]));
}

template <bool kBackward>
__global__ void __launch_bounds__(1024)
    norm_in_two_passes(const uint4* __restrict__ x, const uint4* __restrict__ dy,
                       uint4* __restrict__ y, int packs, float eps) {
  const long long start = static_cast<long long>(blockIdx.x) * packs;
  Sums sums;
  for (int i = threadIdx.x; i < packs; i += 1024)
    sums.add<kBackward>(x[start + i], kBackward ? dy[start + i] : uint4{});
  const Scales scales = Scales::of<1024, kBackward>(sums, packs * 8, eps);
  for (int i = threadIdx.x; i < packs; i += 1024)
    y[start + i] = scales.apply<kBackward>(x[start + i], kBackward ? dy[start + i] : uint4{});
}

template <int kTeam, int kPacks, bool kBackward>
void launch(const uint4* x, const uint4* dy, uint4* y, int rows, int packs, float eps,
            cudaStream_t stream) {
  constexpr int kTeams = kThreadsOf<kTeam> / kTeam;
  norm_in_registers<kTeam, kPacks, kBackward>
      <<<(rows + kTeams - 1) / kTeams, kThreadsOf<kTeam>, 0, stream>>>(x, dy, y, rows, packs, eps);
}

template <bool kBackward>
void choose(const uint4* x, const uint4* dy, uint4* y, int rows, int packs, float eps,
            cudaStream_t stream) {
  if (packs <= 32 * 4)
    launch<32, 4, kBackward>(x, dy, y, rows, packs, eps, stream);
  else if (packs <= 128 * 4)
    launch<128, 4, kBackward>(x, dy, y, rows, packs, eps, stream);
  else if (packs <= 512 * 4)
    launch<512, 4, kBackward>(x, dy, y, rows, packs, eps, stream);
  else
    norm_in_two_passes<kBackward><<<rows, 1024, 0, stream>>>(x, dy, y, packs, eps);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* dy, __nv_bfloat16* y, int rows,
                      int cols, int mode, float eps, cudaStream_t stream) {
  const auto* x_packs = reinterpret_cast<const uint4*>(x);
  const auto* dy_packs = reinterpret_cast<const uint4*>(dy);
  auto* y_packs = reinterpret_cast<uint4*>(y);
  if (mode == 0)
    choose<false>(x_packs, dy_packs, y_packs, rows, cols / 8, eps, stream);
  else
    choose<true>(x_packs, dy_packs, y_packs, rows, cols / 8, eps, stream);
}
