// Specialist: one pass over x and dy. A team of threads (a warp, or a block of 256) takes every
// n-th row; its threads own fixed columns and carry the column sums in registers from row to row.
// Between the two row sums and dx the row stays in shared memory, where each thread finds what it
// asked for, while the next row is on its way there; rows that are no packs of 16 bytes stay in
// registers. At the end each team writes its column sums into scratch, and a small kernel adds the
// teams up, in a fixed order: the result does not depend on the schedule. Rows that do not fit into
// the registers of a team (32 columns a thread) are done in strips by two kernels that read
// everything twice.
#include <cuda_bf16.h>

namespace {

constexpr unsigned kAll = ~0u;
constexpr int kThreads = 256;
constexpr int kColumnsPerThread = 32;

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

struct Pair {
  float first, second;
};

/// Sums over kTeam neighbouring threads; each gets them.
template <int kTeam>
__device__ Pair sum_over_team(Pair value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value.first += __shfl_xor_sync(kAll, value.first, distance);
    value.second += __shfl_xor_sync(kAll, value.second, distance);
  }
  if constexpr (kTeam > 32) {
    constexpr int kWarps = kTeam / 32;
    __shared__ Pair of_warp[kWarps];
    __syncthreads();  // the values of the sum before this one have been read
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warp[threadIdx.x % kWarps];
#pragma unroll
    for (int distance = kWarps / 2; distance > 0; distance /= 2) {
      value.first += __shfl_xor_sync(kAll, value.first, distance);
      value.second += __shfl_xor_sync(kAll, value.second, distance);
    }
  }
  return value;
}

struct Problem {
  const __nv_bfloat16* __restrict__ dy;
  const __nv_bfloat16* __restrict__ x;
  const __nv_bfloat16* __restrict__ w;
  const float* __restrict__ mean;
  const float* __restrict__ rstd;
  __nv_bfloat16* __restrict__ dx;
  float* __restrict__ dw;
  float* __restrict__ db;
  float* __restrict__ partial;  // [teams][2][cols]
  int rows, cols, teams;
};

template <int kWidth>
__device__ const Pack<kWidth>* packs_of(const __nv_bfloat16* elements) {
  return reinterpret_cast<const Pack<kWidth>*>(elements);
}

constexpr int kPacksAhead = 2 * kColumnsPerThread / 8;  // of x and dy, of one row and thread
constexpr int kBytesAhead = 2 * kPacksAhead * kThreads * static_cast<int>(sizeof(uint4));

/// 16 bytes, or zeros.
__device__ void copy_async(uint4* target, const uint4* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(target))),
               "l"(source), "r"(inside ? 16 : 0)
               : "memory");
}
__device__ void commit_copies() { asm volatile("cp.async.commit_group;"); }
__device__ void wait_for_all_but_newest() { asm volatile("cp.async.wait_group 1;" ::: "memory"); }

template <int kTeam, int kWidth>
__global__ void __launch_bounds__(kThreads, kWidth == 8 ? 2 : 1) backward(const Problem p) {
  constexpr int kPacks = kColumnsPerThread / kWidth;
  constexpr bool kAhead = kWidth == 8;
  extern __shared__ uint4 ahead[];  // [2][kPacksAhead][kThreads]
  const int rank = threadIdx.x % kTeam, packs = p.cols / kWidth;
  const int team = blockIdx.x * (kThreads / kTeam) + threadIdx.x / kTeam;
  if (team >= p.teams) return;  // whole warps, or nobody

  const auto slot = [&](int stage, int pack) -> uint4& {
    return ahead[(stage * kPacksAhead + pack) * kThreads + threadIdx.x];
  };
  const auto fetch = [&](int row, int stage) {
    if constexpr (kAhead) {
#pragma unroll
      for (int k = 0; k < kPacks; ++k) {
        const bool inside = row < p.rows && rank + k * kTeam < packs;
        const long long at = inside ? static_cast<long long>(row) * packs + rank + k * kTeam : 0;
        copy_async(&slot(stage, k), packs_of<kWidth>(p.x) + at, inside);
        copy_async(&slot(stage, kPacks + k), packs_of<kWidth>(p.dy) + at, inside);
      }
      commit_copies();
    }
  };

  float dw[kPacks][kWidth] = {}, db[kPacks][kWidth] = {};
  fetch(team, 0);
  float mean = __ldg(p.mean + team), rstd = __ldg(p.rstd + team);
  int stage = 0;
  for (int row = team; row < p.rows; row += p.teams, stage ^= 1) {
    const long long start = static_cast<long long>(row) * packs;
    const int next = row + p.teams;
    fetch(next, stage ^ 1);
    const float next_mean = next < p.rows ? __ldg(p.mean + next) : 0;
    const float next_rstd = next < p.rows ? __ldg(p.rstd + next) : 0;
    Pack<kWidth> kept[kAhead ? 1 : 2 * kPacks];  // x, then dy
    if constexpr (kAhead) {
      wait_for_all_but_newest();
    } else {
#pragma unroll
      for (int k = 0; k < kPacks; ++k) {
        const int i = rank + k * kTeam;
        kept[k] = i < packs ? __ldcs(packs_of<kWidth>(p.x) + start + i) : Pack<kWidth>{};
        kept[kPacks + k] = i < packs ? __ldcs(packs_of<kWidth>(p.dy) + start + i) : Pack<kWidth>{};
      }
    }
    const auto pack_of_row = [&](int pack) -> const Pack<kWidth>& {
      if constexpr (kAhead)
        return slot(stage, pack);
      else
        return kept[pack];
    };

    Pair sums{0, 0};
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int i = rank + k * kTeam;
      float values[kWidth], gradients[kWidth], weights[kWidth];
      unpack(pack_of_row(k), values);
      unpack(pack_of_row(kPacks + k),
             gradients);  // 0 beyond the row, so that nothing is added there
      unpack(i < packs ? __ldg(packs_of<kWidth>(p.w) + i) : Pack<kWidth>{}, weights);
#pragma unroll
      for (int e = 0; e < kWidth; ++e) {
        const float normal = (values[e] - mean) * rstd;
        dw[k][e] += gradients[e] * normal;
        db[k][e] += gradients[e];
        sums.first += gradients[e] * weights[e] * normal;
        sums.second += gradients[e] * weights[e];
      }
    }
    sums = sum_over_team<kTeam>(sums);
    const float c1 = sums.first / p.cols, c2 = sums.second / p.cols;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int i = rank + k * kTeam;
      if (i >= packs) continue;
      float values[kWidth], gradients[kWidth], weights[kWidth];
      unpack(pack_of_row(k), values);
      unpack(pack_of_row(kPacks + k), gradients);
      unpack(__ldg(packs_of<kWidth>(p.w) + i), weights);
#pragma unroll
      for (int e = 0; e < kWidth; ++e)
        values[e] = rstd * (gradients[e] * weights[e] - c2 - (values[e] - mean) * rstd * c1);
      __stcs(reinterpret_cast<Pack<kWidth>*>(p.dx) + start + i, packed(values));
    }
    mean = next_mean;
    rstd = next_rstd;
  }

  float* partial = p.partial + static_cast<long long>(team) * 2 * p.cols;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int i = rank + k * kTeam;
    if (i >= packs) continue;
#pragma unroll
    for (int e = 0; e < kWidth; ++e) {
      partial[i * kWidth + e] = dw[k][e];
      partial[p.cols + i * kWidth + e] = db[k][e];
    }
  }
}

/// A block sums 32 of the 2 cols columns of the partial sums.
__global__ void __launch_bounds__(1024) add_teams(const Problem p) {
  __shared__ float sums[32][33];
  const int column = blockIdx.x * 32 + threadIdx.x;
  float sum = 0;
  if (column < 2 * p.cols)
    for (int team = threadIdx.y; team < p.teams; team += 32)
      sum += p.partial[static_cast<long long>(team) * 2 * p.cols + column];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  float total = sums[threadIdx.x][threadIdx.y];
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    total += __shfl_xor_sync(kAll, total, distance);
  const int target = blockIdx.x * 32 + threadIdx.y;
  if (threadIdx.x != 0 || target >= 2 * p.cols) return;
  if (target < p.cols)
    p.dw[target] = total;
  else
    p.db[target - p.cols] = total;
}

/// dx of a row of any width, by a block.
__global__ void __launch_bounds__(kThreads) wide_input_gradient(const Problem p) {
  const long long start = static_cast<long long>(blockIdx.x) * p.cols;
  const float mean = p.mean[blockIdx.x], rstd = p.rstd[blockIdx.x];
  Pair sums{0, 0};
  for (int c = threadIdx.x; c < p.cols; c += kThreads) {
    const float g = __bfloat162float(p.dy[start + c]) * __bfloat162float(p.w[c]);
    sums.first += g * (__bfloat162float(p.x[start + c]) - mean) * rstd;
    sums.second += g;
  }
  sums = sum_over_team<kThreads>(sums);
  const float c1 = sums.first / p.cols, c2 = sums.second / p.cols;
  for (int c = threadIdx.x; c < p.cols; c += kThreads) {
    const float g = __bfloat162float(p.dy[start + c]) * __bfloat162float(p.w[c]);
    const float normal = (__bfloat162float(p.x[start + c]) - mean) * rstd;
    p.dx[start + c] = __float2bfloat16(rstd * (g - c2 - normal * c1));
  }
}

/// Column sums of every n-th row, for any width; one thread a column and team.
__global__ void __launch_bounds__(kThreads) wide_column_sums(const Problem p) {
  const int c = blockIdx.x * kThreads + threadIdx.x, team = blockIdx.y;
  if (c >= p.cols) return;
  float dw = 0, db = 0;
  for (int row = team; row < p.rows; row += p.teams) {
    const long long i = static_cast<long long>(row) * p.cols + c;
    const float g = __bfloat162float(p.dy[i]);
    dw += g * (__bfloat162float(p.x[i]) - p.mean[row]) * p.rstd[row];
    db += g;
  }
  float* partial = p.partial + static_cast<long long>(team) * 2 * p.cols;
  partial[c] = dw;
  partial[p.cols + c] = db;
}

template <int kTeam>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kTeams = kThreads / kTeam;
  const int blocks = (p.teams + kTeams - 1) / kTeams;
  if (p.cols % 8 == 0) {
    cudaFuncSetAttribute(backward<kTeam, 8>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         kBytesAhead);
    backward<kTeam, 8><<<blocks, kThreads, kBytesAhead, stream>>>(p);
  } else {
    backward<kTeam, 1><<<blocks, kThreads, 0, stream>>>(p);
  }
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* dy, const __nv_bfloat16* x, const __nv_bfloat16* w,
                      const float* mean, const float* rstd, __nv_bfloat16* dx, float* dw, float* db,
                      int rows, int cols, cudaStream_t stream) {
  constexpr int kBlocks = 264;  // two a multiprocessor
  const bool narrow = cols <= 32 * kColumnsPerThread, wide = cols > kThreads * kColumnsPerThread;
  const int teams = min(rows, wide ? 32 : narrow ? kBlocks * kThreads / 32 : kBlocks);
  float* partial = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&partial), sizeof(float) * 2 * cols * teams, stream);
  const Problem p{dy, x, w, mean, rstd, dx, dw, db, partial, rows, cols, teams};
  if (wide) {
    wide_input_gradient<<<rows, kThreads, 0, stream>>>(p);
    wide_column_sums<<<dim3((cols - 1) / kThreads + 1, teams), kThreads, 0, stream>>>(p);
  } else if (narrow) {
    launch<32>(p, stream);
  } else {
    launch<kThreads>(p, stream);
  }
  add_teams<<<(2 * cols + 31) / 32, dim3(32, 32), 0, stream>>>(p);
  cudaFreeAsync(partial, stream);
}
