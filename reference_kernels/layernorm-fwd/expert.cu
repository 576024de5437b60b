// Specialist: a warp or a block keeps a row in registers as it was stored, so that x is read and y
// is written once, 16 bytes a lane where rows start at multiples of 16 bytes, else 2; the mean and
// then the centred squares come from the registers. Weights and biases come from the caches. Rows
// that do not fit are read three times.
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

struct Row {
  float mean, rstd;
};

template <int kWidth>
__device__ float sum_of(const Pack<kWidth>& pack) {
  float values[kWidth], sum = 0;
  unpack(pack, values);
#pragma unroll
  for (const float value : values) sum += value;
  return sum;
}

template <int kWidth>
__device__ float centred_squares_of(const Pack<kWidth>& pack, float mean) {
  float values[kWidth], sum = 0;
  unpack(pack, values);
#pragma unroll
  for (const float value : values) sum += (value - mean) * (value - mean);
  return sum;
}

template <int kWidth>
__device__ Pack<kWidth> normalised(const Pack<kWidth>& x, const Pack<kWidth>& w,
                                   const Pack<kWidth>& b, const Row& row) {
  float values[kWidth], weights[kWidth], biases[kWidth];
  unpack(x, values);
  unpack(w, weights);
  unpack(b, biases);
#pragma unroll
  for (int i = 0; i < kWidth; ++i)
    values[i] = (values[i] - row.mean) * row.rstd * weights[i] + biases[i];
  return packed(values);
}

/// Pointers and sizes in packs of a row.
template <int kWidth>
struct Problem {
  const Pack<kWidth>* __restrict__ x;
  const Pack<kWidth>* __restrict__ w;
  const Pack<kWidth>* __restrict__ b;
  Pack<kWidth>* __restrict__ y;
  float* __restrict__ mean;
  float* __restrict__ rstd;
  int rows, packs;
  float eps;

  __device__ void keep(int row, const Row& moments) const {
    mean[row] = moments.mean;
    rstd[row] = moments.rstd;
  }
};

template <int kTeam>
constexpr int kThreadsOf = kTeam < 128 ? 128 : kTeam;

template <int kTeam, int kPacks, int kWidth>
__global__ void __launch_bounds__(kThreadsOf<kTeam>)
    layernorm_in_registers(const Problem<kWidth> p) {
  const int row = blockIdx.x * (kThreadsOf<kTeam> / kTeam) + threadIdx.x / kTeam;
  if (row >= p.rows) return;  // whole warps, or nobody
  const int rank = threadIdx.x % kTeam, cols = p.packs * kWidth;
  const Pack<kWidth>* x = p.x + static_cast<long long>(row) * p.packs;
  Pack<kWidth>* y = p.y + static_cast<long long>(row) * p.packs;

  Pack<kWidth> values[kPacks];
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
    values[k] = rank + k * kTeam < p.packs ? x[rank + k * kTeam] : Pack<kWidth>{};
  float sum = 0, squares = 0;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) sum += sum_of<kWidth>(values[k]);
  Row moments;
  moments.mean = sum_over_team<kTeam>(sum) / cols;
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
    if (rank + k * kTeam < p.packs) squares += centred_squares_of<kWidth>(values[k], moments.mean);
  moments.rstd = rsqrtf(sum_over_team<kTeam>(squares) / cols + p.eps);
  if (rank == 0) p.keep(row, moments);
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
    if (const int i = rank + k * kTeam; i < p.packs)
      y[i] = normalised<kWidth>(values[k], __ldg(p.w + i), __ldg(p.b + i), moments);
}

template <int kWidth>
__global__ void __launch_bounds__(1024) layernorm_in_three_passes(const Problem<kWidth> p) {
  const int cols = p.packs * kWidth;
  const Pack<kWidth>* x = p.x + static_cast<long long>(blockIdx.x) * p.packs;
  Pack<kWidth>* y = p.y + static_cast<long long>(blockIdx.x) * p.packs;
  float sum = 0, squares = 0;
  for (int i = threadIdx.x; i < p.packs; i += 1024) sum += sum_of<kWidth>(x[i]);
  Row moments;
  moments.mean = sum_over_team<1024>(sum) / cols;
  for (int i = threadIdx.x; i < p.packs; i += 1024)
    squares += centred_squares_of<kWidth>(x[i], moments.mean);
  moments.rstd = rsqrtf(sum_over_team<1024>(squares) / cols + p.eps);
  if (threadIdx.x == 0) p.keep(blockIdx.x, moments);
  for (int i = threadIdx.x; i < p.packs; i += 1024)
    y[i] = normalised<kWidth>(x[i], __ldg(p.w + i), __ldg(p.b + i), moments);
}

template <int kTeam, int kPacks, int kWidth>
void launch(const Problem<kWidth>& p, cudaStream_t stream) {
  constexpr int kTeams = kThreadsOf<kTeam> / kTeam;
  layernorm_in_registers<kTeam, kPacks, kWidth>
      <<<(p.rows + kTeams - 1) / kTeams, kThreadsOf<kTeam>, 0, stream>>>(p);
}

template <int kWidth>
void choose(const Problem<kWidth>& p, cudaStream_t stream) {
  if (p.packs <= 32 * 4)
    launch<32, 4, kWidth>(p, stream);
  else if (p.packs <= 128 * 4)
    launch<128, 4, kWidth>(p, stream);
  else if (p.packs <= 256 * 8)
    launch<256, 8, kWidth>(p, stream);
  else if (p.packs <= 512 * 8)
    launch<512, 8, kWidth>(p, stream);
  else
    layernorm_in_three_passes<kWidth><<<p.rows, 1024, 0, stream>>>(p);
}

template <int kWidth>
const Pack<kWidth>* packs_of(const __nv_bfloat16* elements) {
  return reinterpret_cast<const Pack<kWidth>*>(elements);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* b,
                      __nv_bfloat16* y, float* mean, float* rstd, int rows, int cols, float eps,
                      cudaStream_t stream) {
  if (cols % 8 == 0)
    choose(Problem<8>{packs_of<8>(x), packs_of<8>(w), packs_of<8>(b), reinterpret_cast<Pack<8>*>(y),
                      mean, rstd, rows, cols / 8, eps},
           stream);
  else
    choose(Problem<1>{packs_of<1>(x), packs_of<1>(w), packs_of<1>(b), reinterpret_cast<Pack<1>*>(y),
                      mean, rstd, rows, cols, eps},
           stream);
}
