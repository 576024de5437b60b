// Specialist: two ways.
//
// Up to 16 rows of x: bound by reading the packed weights, if a code costs few instructions. Every
// weight is used by one warp only, so it is decoded straight into the fragments of mma.sync: of a
// pair of rows of weights, k and k + 1, a thread reads the same 16 codes, `bits` pieces of 16 bits
// each, and puts the pieces of both rows side by side into words. A code c that lies o bits up in
// such a 16-bit half is the subnormal f16 number c 2^(o - 24) once the other bits are masked off:
// one instruction makes a pair of factors, and nothing is converted. Byte permutations give the
// halves that start at odd bytes, so that o stays below 8; only codes that reach beyond the 10 bits
// of a subnormal number are shifted. Zero points and scales are applied to the f32 sums of each
// group of 128 k: the zero point times the sum of x, which a product with ones gives, is
// subtracted, and the power of two is taken out at the very end. A block takes 256 columns; its two
// teams of two warps take half of k each, with a ring of stages of 64 k, filled by cp.async, and
// their sums meet in shared memory.
//
// More rows: tiles of 64 k x 128 n of the packed weights and of x arrive by cp.async in a ring of
// four stages. 32 codes of one k are exactly `bits` words: each thread takes such a run and cuts it
// by shifts that are known at compile time. A code in the low bits of 1024 is exact in f16; 1024
// plus the zero point is subtracted, exactly, and the scale multiplied, two codes an instruction.
// The f16 tile lies in shared memory, its chunks permuted, for ldmatrix and mma.sync with f32 sums.
// Up to 64 rows of x take tiles of 64, others of 128.
#include <cuda_fp16.h>

namespace {

constexpr int kTileN = 128;
constexpr int kTileK = 64;
constexpr int kGroup = 128;  // k that share a scale
constexpr int kStages = 4;
constexpr int kWarpN = 32;

/// 16 bytes, or zeros.
__device__ void copy_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 16 : 0)
               : "memory");
}
__device__ void commit_copies() { asm volatile("cp.async.commit_group;"); }
template <int kPending>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
__device__ void load_matrices(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
__device__ void load_matrices_transposed(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ void copy_word_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 4 : 0)
               : "memory");
}

struct Problem {
  const __half* __restrict__ x;
  const unsigned char* __restrict__ wq;
  const __half* __restrict__ s;
  const __half* __restrict__ zp;
  __half* __restrict__ y;
  int m, k, n;
};

template <int kWidth>
__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * (kWidth / 8) + (chunk ^ (row % 8))) * 16;
}

/// Up to 16 rows of x.
namespace few_rows {

constexpr int kColumns = 256;  // of a block
constexpr int kWarpColumns = 128;
constexpr int kTeams = 2;  // each with its own half of k
constexpr int kTeamThreads = kColumns / kWarpColumns * 32;
constexpr int kThreads = kTeams * kTeamThreads;
constexpr int kRun = 16;  // codes of a row that a thread takes
constexpr int kStepsPerGroup = kGroup / kTileK;
constexpr int kXBytes = 16 * kTileK * 2;
constexpr int kScalesBytes = kColumns * 2;
constexpr unsigned kOnes = 0x3c003c00;  // two f16 numbers
static_assert(kTileK / 8 * 8 == kTeamThreads && kScalesBytes / 16 * 2 == kTeamThreads);

template <int kBits>
struct Layout {
  static constexpr int kRowBytes = kColumns * kBits / 8;   // 32 times the width: for odd widths
  static constexpr int kPackedBytes = kTileK * kRowBytes;  // few bank conflicts
  static constexpr int kScales = kPackedBytes + kXBytes;
  static constexpr int kStageBytes = kScales + 2 * kScalesBytes;  // and zero points
  static constexpr int kStages = kBits <= 3 ? 5 : kBits == 5 ? 4 : 3;  // for two blocks at once
  static constexpr int kBytes = kTeams * kStages * kStageBytes;
};

/// Bits below code `index` of a run where it is used as a factor.
template <int kBits>
__device__ constexpr int bits_below(int index) {
  constexpr int kMantissa = 10;
  const int offset = index * kBits % 8;
  return offset + kBits <= kMantissa ? offset : 0;
}

/// Codes `index` of two rows as subnormal numbers. pieces: 16 bits of each row in every word.
template <int kBits>
__device__ unsigned factors(const unsigned (&pieces)[kBits], int index) {
  const int byte = index * kBits / 8, offset = index * kBits % 8, below = bits_below<kBits>(index);
  unsigned from_byte = pieces[byte / 2];
  if (byte % 2 == 1)
    from_byte = byte / 2 + 1 < kBits ? __byte_perm(from_byte, pieces[byte / 2 + 1], 0x6341)
                                     : from_byte >> 8;
  constexpr unsigned kMask = (1u << kBits) - 1;
  return from_byte >> (offset - below) & (kMask << 16 | kMask) << below;
}

template <int kBits>
__global__ void __launch_bounds__(kThreads, 2) product(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  using L = Layout<kBits>;
  const int team = threadIdx.x / kTeamThreads, thread = threadIdx.x % kTeamThreads;
  const int warp = thread / 32, lane = thread % 32;
  const int first_column = blockIdx.x * kColumns;
  const int groups = p.k / kGroup, first_group = groups * team / kTeams;
  const int steps = (groups * (team + 1) / kTeams - first_group) * kStepsPerGroup;
  const int most_steps = (groups + kTeams - 1) / kTeams * kStepsPerGroup;
  unsigned char* const ring = shared + team * L::kStages * L::kStageBytes;
  const unsigned ring_address = static_cast<unsigned>(__cvta_generic_to_shared(ring));

  const long long row_bytes = static_cast<long long>(p.n) * kBits / 8;
  const unsigned char* packed = p.wq + first_group * kGroup * row_bytes + first_column * kBits / 8;
  const bool by_chunks = first_column + kColumns <= p.n && row_bytes % 16 == 0;
  constexpr int kChunks = L::kRowBytes / 16, kCopies = L::kPackedBytes / 16 / kTeamThreads;
  unsigned chunk_offset[kCopies];  // in the rows of a step
#pragma unroll
  for (int i = 0; i < kCopies; ++i) {
    const int chunk = thread + i * kTeamThreads;
    chunk_offset[i] = static_cast<unsigned>(chunk / kChunks * row_bytes + chunk % kChunks * 16);
  }
  const int x_row = thread / 8, x_chunk = thread % 8;  // copied by this thread, and the 8th below
  const __half* own_x[2];
#pragma unroll
  for (int i = 0; i < 2; ++i)
    own_x[i] = p.x + (x_row + i * 8 < p.m ? static_cast<long long>(x_row + i * 8) * p.k : 0) +
               first_group * kGroup + x_chunk * 8;
  // The first half of the threads copy scales, the other zero points.
  const int scales_column = first_column + thread % (kTeamThreads / 2) * 8;
  const bool in_scales = scales_column < p.n;
  const __half* own_scales = (thread < kTeamThreads / 2 ? p.s : p.zp) +
                             static_cast<long long>(first_group) * p.n +
                             (in_scales ? scales_column : 0);
  const auto fill = [&](int step) {
    const unsigned stage = ring_address + step % L::kStages * L::kStageBytes;
    const unsigned char* source = packed + step * kTileK * row_bytes;
    if (by_chunks) {
#pragma unroll
      for (int i = 0; i < kCopies; ++i)
        copy_async(stage + (thread + i * kTeamThreads) * 16, source + chunk_offset[i], true);
    } else {
      const int wanted = min(kColumns, p.n - first_column) * kBits / 8;
      for (int i = thread; i < L::kPackedBytes / 4; i += kTeamThreads) {
        const int row = i / (L::kRowBytes / 4), at = i % (L::kRowBytes / 4) * 4;
        const bool inside = at < wanted;
        copy_word_async(stage + i * 4, inside ? source + row * row_bytes + at : p.wq, inside);
      }
    }
#pragma unroll
    for (int i = 0; i < 2; ++i)
      copy_async(stage + L::kPackedBytes + offset_bytes<kTileK>(x_row + i * 8, x_chunk),
                 own_x[i] + step * kTileK, x_row + i * 8 < p.m);
    if (step % kStepsPerGroup == kStepsPerGroup - 1) {
      const long long row = static_cast<long long>(step / kStepsPerGroup) * p.n;
      copy_async(stage + L::kScales + thread * 16, own_scales + row, in_scales);
    }
  };

  // Of a product's 8 columns the i-th is code j of the warp's run i, and there is a product for
  // each j. So this thread's sums belong to rows lane / 4 and lane / 4 + 8 of x and to the runs
  // lane % 4 * 2 and the next.
  float sums[kRun][4] = {};                 // scaled by 2^(bits_below - 24)
  float codes[kRun][4] = {}, rows[4] = {};  // of a group: sums of x times codes, sums of x
  for (int step = 0; step < L::kStages - 1; ++step) {
    if (step < steps) fill(step);
    commit_copies();
  }
  for (int step = 0; step < most_steps; ++step) {
    wait_for_copies<L::kStages - 2>();
    __syncthreads();  // this step has arrived, and the stage before is free
    if (step + L::kStages - 1 < steps) fill(step + L::kStages - 1);
    commit_copies();
    if (step >= steps) continue;
    const int stage = step % L::kStages * L::kStageBytes;
    const unsigned char* of_thread = ring + stage + lane % 4 * 2 * L::kRowBytes +
                                     (warp * kWarpColumns + lane / 4 * kRun) * kBits / 8;
#pragma unroll
    for (int inner = 0; inner < kTileK / 16; ++inner) {
      unsigned a[4], pieces[2][kBits];
      load_matrices(a, ring_address + stage + L::kPackedBytes +
                           offset_bytes<kTileK>(lane % 16, inner * 2 + lane / 16));
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto* row = reinterpret_cast<const unsigned short*>(
            of_thread + (inner * 16 + half * 8) * L::kRowBytes);
#pragma unroll
        for (int i = 0; i < kBits; ++i)
          pieces[half][i] = __byte_perm(row[i], row[i + L::kRowBytes / 2], 0x5410);
      }
#pragma unroll
      for (int j = 0; j < kRun; ++j)
        multiply_add(codes[j], a, factors<kBits>(pieces[0], j), factors<kBits>(pieces[1], j));
      multiply_add(rows, a, kOnes, kOnes);
    }
    if (step % kStepsPerGroup != kStepsPerGroup - 1) continue;

    const unsigned char* scales =
        ring + stage + L::kScales + (warp * kWarpColumns + lane % 4 * 2 * kRun) * 2;
#pragma unroll
    for (int run = 0; run < 2; ++run)
#pragma unroll
      for (int j = 0; j < kRun; j += 2) {
        const int at = (run * kRun + j) * 2;
        const auto scale = *reinterpret_cast<const __half2*>(scales + at);
        const auto zero = *reinterpret_cast<const __half2*>(scales + kScalesBytes + at);
        // 2^(bits_below - 24), a subnormal number, for either code
        const unsigned unit = 1u << bits_below<kBits>(j) | 1u << bits_below<kBits>(j + 1) << 16;
        const float2 zeros =
            __half22float2(__hmul2(zero, *reinterpret_cast<const __half2*>(&unit)));
        const float2 factor = __half22float2(scale);
#pragma unroll
        for (int e = run; e < 4; e += 2) {
          sums[j][e] += factor.x * (codes[j][e] - zeros.x * rows[e]);
          sums[j + 1][e] += factor.y * (codes[j + 1][e] - zeros.y * rows[e]);
          codes[j][e] = codes[j + 1][e] = 0;
        }
      }
#pragma unroll
    for (float& row : rows) row = 0;
  }

  wait_for_copies<0>();
  __syncthreads();
  auto* other = reinterpret_cast<float4*>(shared) + thread;
  if (team == 1) {
#pragma unroll
    for (int j = 0; j < kRun; ++j)
      other[j * kTeamThreads] = make_float4(sums[j][0], sums[j][1], sums[j][2], sums[j][3]);
  }
  __syncthreads();
  if (team == 1) return;
#pragma unroll
  for (int j = 0; j < kRun; ++j) {
    const float4 part = other[j * kTeamThreads];
    const float unit = static_cast<float>(1 << (24 - bits_below<kBits>(j)));
    sums[j][0] = (sums[j][0] + part.x) * unit;
    sums[j][1] = (sums[j][1] + part.y) * unit;
    sums[j][2] = (sums[j][2] + part.z) * unit;
    sums[j][3] = (sums[j][3] + part.w) * unit;
  }
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const int row = lane / 4 + e / 2 * 8;
    const int column = first_column + warp * kWarpColumns + (lane % 4 * 2 + e % 2) * kRun;
    if (row >= p.m || column >= p.n) continue;
    auto* to = reinterpret_cast<__half2*>(p.y + static_cast<long long>(row) * p.n + column);
#pragma unroll
    for (int j = 0; j < kRun; j += 2) to[j / 2] = __floats2half2_rn(sums[j][e], sums[j + 1][e]);
  }
}

template <int kBits>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kBytes = Layout<kBits>::kBytes;
  cudaFuncSetAttribute(product<kBits>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  product<kBits><<<(p.n + kColumns - 1) / kColumns, kThreads, kBytes, stream>>>(p);
}

}  // namespace few_rows

template <int kTileM, int kWarpM, int kBits>
struct Block {
  static constexpr int kThreads = kTileM / kWarpM * (kTileN / kWarpN) * 32;
  static constexpr int kRowBytes = kTileN * kBits / 8;  // of packed weights
  static constexpr int kPackedBytes = kTileK * kRowBytes;
  static constexpr int kStageBytes = kPackedBytes + kTileM * kTileK * 2;
  static constexpr int kDecoded = kStages * kStageBytes;
  static constexpr int kBytes = kDecoded + 2 * kTileK * kTileN * 2;

  const Problem& p;
  unsigned char* shared;
  unsigned base;
  int first_row, first_column;

  __device__ void fill(int step) const {
    const unsigned packed = base + step % kStages * kStageBytes;
    const long long row_bytes = static_cast<long long>(p.n) * kBits / 8;
    const unsigned char* source = p.wq + step * kTileK * row_bytes + first_column * kBits / 8;
    const int wanted = min(kTileN, p.n - first_column) * kBits / 8;
    if (wanted == kRowBytes && row_bytes % 16 == 0) {
      for (int i = threadIdx.x; i < kPackedBytes / 16; i += kThreads)
        copy_async(packed + i * 16,
                   source + i / (kRowBytes / 16) * row_bytes + i % (kRowBytes / 16) * 16, true);
    } else {
      for (int i = threadIdx.x; i < kPackedBytes / 4; i += kThreads) {
        const int at = i % (kRowBytes / 4) * 4;
        const bool inside = at < wanted;
        copy_word_async(packed + i * 4,
                        inside ? source + i / (kRowBytes / 4) * row_bytes + at : p.wq, inside);
      }
    }
    for (int i = threadIdx.x; i < kTileM * kTileK / 8; i += kThreads) {
      const int row = i / (kTileK / 8), chunk = i % (kTileK / 8);
      const bool inside = first_row + row < p.m;
      const long long at =
          static_cast<long long>(first_row + row) * p.k + step * kTileK + chunk * 8;
      copy_async(packed + kPackedBytes + offset_bytes<kTileK>(row, chunk), p.x + (inside ? at : 0),
                 inside);
    }
  }

  /// Weights of a step, as f16, into one of the two decoded tiles.
  __device__ void decode(int step) const {
    const unsigned char* packed = shared + step % kStages * kStageBytes;
    unsigned char* decoded = shared + kDecoded + step % 2 * (kTileK * kTileN * 2);
    for (int i = threadIdx.x; i < kTileK * kTileN / 32; i += kThreads) {
      const int row = i / (kTileN / 32), run = i % (kTileN / 32);
      const int column = first_column + run * 32;
      if (column >= p.n) continue;  // what is left there only reaches columns beyond n
      const long long group = static_cast<long long>(step * kTileK / kGroup) * p.n + column;
      unsigned words[kBits + 1];
#pragma unroll
      for (int w = 0; w < kBits; ++w)
        words[w] =
            *reinterpret_cast<const unsigned*>(packed + row * kRowBytes + (run * kBits + w) * 4);
      words[kBits] = 0;
#pragma unroll
      for (int chunk = 0; chunk < 4; ++chunk) {
        const uint4 scales = __ldg(reinterpret_cast<const uint4*>(p.s + group) + chunk);
        const uint4 zeros = __ldg(reinterpret_cast<const uint4*>(p.zp + group) + chunk);
        const unsigned of_pair[4] = {scales.x, scales.y, scales.z, scales.w};
        const unsigned zero_of_pair[4] = {zeros.x, zeros.y, zeros.z, zeros.w};
        unsigned pairs[4];
#pragma unroll
        for (int j = 0; j < 4; ++j)
          pairs[j] = weights(code(words, chunk * 8 + j * 2), code(words, chunk * 8 + j * 2 + 1),
                             of_pair[j], zero_of_pair[j]);
        *reinterpret_cast<uint4*>(decoded + offset_bytes<kTileN>(row, run * 4 + chunk)) =
            make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      }
    }
  }
  static __device__ unsigned code(const unsigned (&words)[kBits + 1], int index) {
    const int bit = index * kBits;
    return __funnelshift_r(words[bit / 32], words[bit / 32 + 1], bit % 32) & ((1u << kBits) - 1);
  }
  static __device__ unsigned weights(unsigned low, unsigned high, unsigned scale_bits,
                                     unsigned zero_bits) {
    const unsigned bits = low | high << 16 | 0x64006400u;  // 1024 + code
    const __half2 scale = *reinterpret_cast<const __half2*>(&scale_bits);
    const __half2 offset =
        __hadd2(__float2half2_rn(1024), *reinterpret_cast<const __half2*>(&zero_bits));
    const __half2 result =
        __hmul2(__hsub2(*reinterpret_cast<const __half2*>(&bits), offset), scale);
    return *reinterpret_cast<const unsigned*>(&result);
  }
};

template <int kTileM, int kWarpM, int kBits>
__global__ void __launch_bounds__(Block<kTileM, kWarpM, kBits>::kThreads) product(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  using B = Block<kTileM, kWarpM, kBits>;
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const B block{p, shared, base, static_cast<int>(blockIdx.x) * kTileM,
                static_cast<int>(blockIdx.y) * kTileN};
  const int steps = p.k / kTileK;
  float sums[kWarpM / 16][kWarpN / 8][4] = {};
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) block.fill(step);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step has arrived, and the stage before is free
    if (step + kStages - 1 < steps) block.fill(step + kStages - 1);
    commit_copies();
    block.decode(step);
    __syncthreads();
    const unsigned x = base + step % kStages * B::kStageBytes + B::kPackedBytes;
    const unsigned w = base + B::kDecoded + step % 2 * (kTileK * kTileN * 2);
#pragma unroll
    for (int inner = 0; inner < kTileK / 16; ++inner) {
      unsigned a[kWarpM / 16][4], b[kWarpN / 16][4];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        load_matrices(
            a[i], x + offset_bytes<kTileK>(warp_row + i * 16 + lane % 16, inner * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)
        load_matrices_transposed(
            b[j],
            w + offset_bytes<kTileN>(inner * 16 + lane % 16, warp_column / 8 + j * 2 + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
#pragma unroll
  for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpN / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = block.first_row + warp_row + i * 16 + lane / 4 + half * 8;
        const int column = block.first_column + warp_column + j * 8 + lane % 4 * 2;
        if (row < p.m && column < p.n)
          *reinterpret_cast<__half2*>(p.y + static_cast<long long>(row) * p.n + column) =
              __floats2half2_rn(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
}

template <int kTileM, int kWarpM, int kBits>
void launch(const Problem& p, cudaStream_t stream) {
  using B = Block<kTileM, kWarpM, kBits>;
  cudaFuncSetAttribute(product<kTileM, kWarpM, kBits>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       B::kBytes);
  const dim3 grid((p.m + kTileM - 1) / kTileM, (p.n + kTileN - 1) / kTileN);
  product<kTileM, kWarpM, kBits><<<grid, B::kThreads, B::kBytes, stream>>>(p);
}

template <int kBits>
void launch_rows(const Problem& p, cudaStream_t stream) {
  if (p.m <= 16)
    few_rows::launch<kBits>(p, stream);
  else if (p.m <= 64)
    launch<64, 32, kBits>(p, stream);
  else
    launch<128, 64, kBits>(p, stream);
}

}  // namespace

extern "C" void solve(const __half* x, const unsigned char* wq, const __half* s, const __half* zp,
                      __half* y, int m, int k, int n, int bits, cudaStream_t stream) {
  const Problem p{x, wq, s, zp, y, m, k, n};
  if (bits == 1)
    launch_rows<1>(p, stream);
  else if (bits == 2)
    launch_rows<2>(p, stream);
  else if (bits == 3)
    launch_rows<3>(p, stream);
  else if (bits == 5)
    launch_rows<5>(p, stream);
  else
    launch_rows<7>(p, stream);
}
