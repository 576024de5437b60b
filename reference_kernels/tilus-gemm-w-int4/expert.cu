// Specialist: three ways.
//
// Many rows of x on Hopper (sm_90a), where the device code was built with that kernel: the weights
// are first written out as f16, next to the product a small cost. The product is wgmma fed by the
// bulk copy engine. A block computes tiles of 128 x 256 of y, one after the other. Its first
// warpgroup has one thread that asks for the tiles of x and of the weights, 64 deep, four stages
// ahead; two more warpgroups multiply, 64 x 256 each, the sums in registers. A stage has two
// mbarriers: `full` counts the bytes that arrive, `empty` the warps that have read them. Two blocks
// of a cluster compute tiles above one another: each loads its own rows of x and half of the
// weights that both need, which the copy engine writes into both. Tiles are numbered in groups of
// rows, so that the ones that run together share factors in the L2 cache. Bound by the tensor
// cores.
//
// Up to 16 rows of x: bound by reading the packed weights, if a code costs few instructions.
// ldmatrix, transposed, of the packed bytes gives each thread 16 bits, four codes, of one row of
// weights and as many of the next, side by side in a word. A code c that lies o bits up in such a
// half is the subnormal f16 number c 2^(o - 24) once the other bits are masked off: one instruction
// makes a pair of factors for mma.sync, and nothing is converted. With its sign bit flipped a code
// is 8 more than the weight: 8 times the sum of x, which a product with ones gives, is subtracted
// from the f32 sums of each group of 128 k before the scale is applied, and the power of two is
// taken out at the very end. A block takes 256 columns; its two teams of four warps take half of k
// each, with a ring of stages of 64 k, filled by cp.async, and their sums meet in shared memory.
//
// Otherwise: tiles of 64 k x 128 n of the packed weights and of x arrive by cp.async in a ring of
// four stages. Each thread turns 32 codes of one k at a time into f16, into a tile in shared
// memory, its chunks permuted, for ldmatrix and mma.sync with f32 sums. Up to 64 rows of x take
// tiles of 64, others of 128.
//
// Where weights are converted: with its sign bit flipped a code is an unsigned number, which in the
// low bits of 1024 is exact; 1032 is subtracted and the scale multiplied, two codes an instruction.
#include <cuda.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace {

constexpr int kGroup = 128;  // k that share a scale

struct Problem {
  const __half* __restrict__ x;
  const unsigned char* __restrict__ wq;
  const __half* __restrict__ s;
  __half* __restrict__ y;
  int m, k, n;
};

/// Two codes, with their sign bits flipped, as weights.
__device__ unsigned weights_of(unsigned low, unsigned high, unsigned scale_bits) {
  const unsigned bits = low | high << 16 | 0x64006400u;  // 1024 + code
  const __half2 scale = *reinterpret_cast<const __half2*>(&scale_bits);
  const __half2 offset = __float2half2_rn(1032);  // the sign bit was flipped: 8 more
  const __half2 result = __hmul2(__hsub2(*reinterpret_cast<const __half2*>(&bits), offset), scale);
  return *reinterpret_cast<const unsigned*>(&result);
}
namespace hopper {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kStages = 4;
constexpr int kTileABytes = kTileM * kTileK * 2, kTileBBytes = kTileK * kTileN * 2;
constexpr int kStageBytes = kTileABytes + kTileBBytes;
constexpr int kCluster = 2;    // blocks, each with its own rows of the cluster's tile
constexpr int kConsumers = 2;  // warpgroups that multiply
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kSpan = 64;  // elements in the 128 bytes that a swizzled row takes
constexpr int kSpans = kTileN / kSpan, kSpanBytes = kTileK * kSpan * 2;
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kSharedBytes = kStages * kStageBytes + kSwizzleBytes;
constexpr int kTileRows = kCluster * kTileM;
static_assert(kTileK == kSpan && kSpans % kCluster == 0 && kTileM == 64 * kConsumers);

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

__device__ unsigned rounded_pair(float first, float second) {
  const __half2 pair = __floats2half2_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}

/// Row and column of tile `index` of c, where tiles are kRows x kTileN and kGroup rows of tiles are
/// numbered together.
template <int kRows, int kGroup>
__device__ int2 place_of_tile(const Problem& p, int index) {
  const int tile_rows = (p.m + kRows - 1) / kRows, tile_columns = (p.n + kTileN - 1) / kTileN;
  const int group = index / (kGroup * tile_columns);
  const int rows_in_group = min(kGroup, tile_rows - group * kGroup);
  const int within = index % (kGroup * tile_columns);
  return make_int2((group * kGroup + within % rows_in_group) * kRows,
                   within / rows_in_group * kTileN);
}

/// mbarriers. A phase ends when the expected arrivals and bytes have come; waits name its parity.
__device__ void create_barrier(unsigned barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}
__device__ void wait(unsigned barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
__device__ void arrive_expecting(unsigned barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
/// Arrives at the barrier that lies at this address in block `block` of the cluster.
__device__ void arrive_at(unsigned barrier, int block) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(barrier),
      "r"(block)
      : "memory");
}
__device__ int block_of_cluster() {
  int rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

/// Copies the box at (row, column) into shared memory; `full` counts its bytes.
__device__ void load(unsigned target, const CUtensorMap& map, unsigned full, int row, int column) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4}], [%2];" ::"r"(target),
      "l"(&map), "r"(full), "r"(column), "r"(row)
      : "memory");
}
/// The same, into all blocks of the cluster, at the same addresses.
__device__ void load_for_all(unsigned target, const CUtensorMap& map, unsigned full, int row,
                             int column) {
  constexpr uint16_t kAll = (1 << kCluster) - 1;
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(target),
      "l"(&map), "r"(full), "r"(column), "r"(row), "h"(kAll)
      : "memory");
}

/// Describes a swizzled operand for wgmma. Rows of 128 bytes; 8 of them, 1024 bytes, make a unit,
/// and units follow one another. `span_bytes`: from 64 columns of a transposed operand to the next.
__device__ uint64_t operand(unsigned address, int span_bytes) {
  constexpr uint64_t kSwizzle128 = 1;
  return kSwizzle128 << 62 | static_cast<uint64_t>(kSwizzleBytes >> 4) << 32 |
         static_cast<uint64_t>(span_bytes >> 4) << 16 | (address & 0x3ffff) >> 4;
}
__device__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// Keeps the compiler from moving uses of a product's registers across this place.
template <int kCount>
__device__ __forceinline__ void settle(float (&d)[kCount][4]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    asm volatile("" : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])::"memory");
}

#define SUMS(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define SUMS_4(j) SUMS(j), SUMS(j + 1), SUMS(j + 2), SUMS(j + 3)

/// 64 x 256 of d = 64 x 16 of a times 16 x 256 of b, plus d if `add`. Of d, a thread holds columns
/// 8 j + lane % 4 * 2 and the next, of row lane / 4 of its warp's 16 rows, and of the 8th below.
__device__ __forceinline__ void multiply(float (&d)[kTileN / 8][4], uint64_t a, uint64_t b,
                                         bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127"
      "}, %128, %129, add, 1, 1, 0, 1;\n"
      "}"
      : SUMS_4(0), SUMS_4(4), SUMS_4(8), SUMS_4(12), SUMS_4(16), SUMS_4(20), SUMS_4(24), SUMS_4(28)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}
#undef SUMS_4
#undef SUMS

/// Of four lanes, the i-th gives its j-th pair to the j-th, as that one's i-th.
__device__ __forceinline__ void transpose(unsigned (&pairs)[4]) {
#pragma unroll
  for (int distance = 1; distance <= 2; ++distance)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if ((i & distance) != 0) continue;
      const bool upper = (threadIdx.x & distance) != 0;
      const unsigned given = upper ? pairs[i] : pairs[i + distance];
      const unsigned taken = __shfl_xor_sync(~0u, given, distance);
      pairs[i] = upper ? taken : pairs[i];
      pairs[i + distance] = upper ? pairs[i + distance] : taken;
    }
}

/// Eight columns.
__device__ void store(const Problem& p, int row, int column, const unsigned (&pairs)[4]) {
  if (row < p.m && column < p.n)
    *reinterpret_cast<uint4*>(p.y + static_cast<long long>(row) * p.n + column) =
        make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}

/// A place in the ring of stages and the parity of its current round.
struct Turn {
  int stage = 0, parity = 0;
  __device__ void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

#endif

__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    multiply_tiles(const __grid_constant__ CUtensorMap a_map,
                   const __grid_constant__ CUtensorMap b_map, const Problem p, int tiles) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t full_barriers[kStages], empty_barriers[kStages];
  const unsigned base =
      (shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes;
  const auto full = [&](int stage) { return shared_address(&full_barriers[stage]); };
  const auto empty = [&](int stage) { return shared_address(&empty_barriers[stage]); };
  const int rank = block_of_cluster(), steps = (p.k + kTileK - 1) / kTileK;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      create_barrier(full(stage), 1);
      create_barrier(empty(stage), kCluster * kConsumers * 4);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");

  Turn turn;
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x != 0) return;
    for (int tile = blockIdx.x / kCluster; tile < tiles; tile += gridDim.x / kCluster) {
      const int2 place = place_of_tile<kTileRows, 8>(p, tile);
      for (int step = 0; step < steps; ++step, turn.advance()) {
        const unsigned a_tile = base + turn.stage * kStageBytes, b_tile = a_tile + kTileABytes;
        wait(empty(turn.stage), turn.parity ^ 1);
        arrive_expecting(full(turn.stage), kStageBytes);
        load(a_tile, a_map, full(turn.stage), place.x + rank * kTileM, step * kTileK);
        for (int i = 0; i < kSpans / kCluster; ++i) {
          const int span = rank * (kSpans / kCluster) + i;
          load_for_all(b_tile + span * kSpanBytes, b_map, full(turn.stage), step * kTileK,
                       place.y + span * kSpan);
        }
      }
    }
    // The other block arrives here as long as it computes.
    for (int stage = 0; stage < kStages; ++stage, turn.advance())
      wait(empty(turn.stage), turn.parity ^ 1);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    const int lane = threadIdx.x % 32, consumer = threadIdx.x / 128 - 1;
    const auto release = [&](int stage) {
      if (lane < kCluster) arrive_at(empty(stage), lane);
    };
    for (int tile = blockIdx.x / kCluster; tile < tiles; tile += gridDim.x / kCluster) {
      float sums[kTileN / 8][4];
      int before = 0;
      for (int step = 0; step < steps; ++step, turn.advance()) {
        const unsigned a_tile = base + turn.stage * kStageBytes, b_tile = a_tile + kTileABytes;
        wait(full(turn.stage), turn.parity);
        begin_products();
#pragma unroll
        for (int inner = 0; inner < kTileK; inner += 16)
          multiply(sums, operand(a_tile + (consumer * 64 * kTileK + inner) * 2, 0),
                   operand(b_tile + inner * kSpan * 2, kSpanBytes), step > 0 || inner > 0);
        commit_products();
        wait_for_products<1>();  // of the step before
        if (step > 0) release(before);
        before = turn.stage;
      }
      wait_for_products<0>();
      settle(sums);
      release(before);
      const int2 place = place_of_tile<kTileRows, 8>(p, tile);
      const int row = place.x + rank * kTileM + (threadIdx.x / 32 - 4) * 16 + lane / 4;
#pragma unroll
      for (int j = 0; j < kTileN / 8; j += 4)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          unsigned pairs[4];
#pragma unroll
          for (int i = 0; i < 4; ++i)
            pairs[i] = rounded_pair(sums[j + i][2 * half], sums[j + i][2 * half + 1]);
          transpose(pairs);
          store(p, row + 8 * half, place.y + (j + lane % 4) * 8, pairs);
        }
    }
  }
#endif
}

/// The kernel above has no barriers where it was built without a body.
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, multiply_tiles) == cudaSuccess &&
         attributes.sharedSizeBytes >= 2 * kStages * sizeof(uint64_t);
}

/// For boxes of `box_rows` x 64 elements of a row-major matrix, swizzled; zeros beyond its edges.
CUtensorMap tensor_map(const __half* matrix, int rows, int columns, unsigned box_rows) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides_bytes[] = {static_cast<cuuint64_t>(columns) * sizeof(__half)};
  const cuuint32_t box[] = {kSpan, box_rows}, steps[] = {1, 1};
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, const_cast<__half*>(matrix), sizes, strides_bytes,
      box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

/// All weights as f16 numbers; a block takes rows of them, a thread 8 columns at a time.
__global__ void decode(const Problem p, __half* __restrict__ weights) {
  for (int row = blockIdx.x; row < p.k; row += gridDim.x) {
    const long long first = static_cast<long long>(row) * p.n;
    const auto* codes = reinterpret_cast<const unsigned*>(p.wq + first / 2);
    const auto* scales =
        reinterpret_cast<const uint4*>(p.s + static_cast<long long>(row / kGroup) * p.n);
    auto* to = reinterpret_cast<uint4*>(weights + first);
    for (int i = threadIdx.x; i < p.n / 8; i += blockDim.x) {
      const unsigned word = codes[i] ^ 0x88888888u;
      const uint4 scale = __ldg(scales + i);
      to[i] = make_uint4(weights_of(word & 15, word >> 4 & 15, scale.x),
                         weights_of(word >> 8 & 15, word >> 12 & 15, scale.y),
                         weights_of(word >> 16 & 15, word >> 20 & 15, scale.z),
                         weights_of(word >> 24 & 15, word >> 28, scale.w));
    }
  }
}

void launch(const Problem& p, cudaStream_t stream) {
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  __half* weights = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&weights),
                  static_cast<size_t>(p.k) * p.n * sizeof(__half), stream);
  decode<<<min(p.k, multiprocessors * 8), 256, 0, stream>>>(p, weights);
  const int tiles = ((p.m + kTileRows - 1) / kTileRows) * ((p.n + kTileN - 1) / kTileN);
  const int clusters = tiles < multiprocessors / kCluster ? tiles : multiprocessors / kCluster;
  cudaFuncSetAttribute(multiply_tiles, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  multiply_tiles<<<clusters * kCluster, kThreads, kSharedBytes, stream>>>(
      tensor_map(p.x, p.m, p.k, kTileM), tensor_map(weights, p.k, p.n, kTileK), p, tiles);
  cudaFreeAsync(weights, stream);
}

}  // namespace hopper

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
template <int kWidth>
__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * (kWidth / 8) + (chunk ^ (row % 8))) * 16;
}

/// Up to 16 rows of x.
namespace few_rows {

constexpr int kColumns = 256;  // of a block
constexpr int kWarpColumns = 64;
constexpr int kTeams = 2;  // each with its own half of k
constexpr int kTeamThreads = kColumns / kWarpColumns * 32;
constexpr int kThreads = kTeams * kTeamThreads;
constexpr int kTileK = 64;
constexpr int kStepsPerGroup = kGroup / kTileK;
constexpr int kStages = 5;       // for two blocks at once
constexpr int kChunkCodes = 32;  // in 16 bytes
constexpr int kChunks = kWarpColumns / kChunkCodes;
constexpr int kRowBytes = kColumns / 2;
constexpr int kPackedBytes = kTileK * kRowBytes;
constexpr int kXBytes = 16 * kTileK * 2;
constexpr int kScales = kPackedBytes + kXBytes;
constexpr int kStageBytes = kScales + kColumns * 2;
constexpr int kBytes = kTeams * kStages * kStageBytes;
constexpr unsigned kOnes = 0x3c003c00;  // two f16 numbers
static_assert(kRowBytes == kTileK * 2, "packed rows are permuted like those of x");

/// Bits below code `index` of a thread's four where it is used as a factor.
__device__ constexpr int bits_below(int index) { return index % 2 * 4; }

/// Codes `index`, their sign bits flipped, of the two rows in a word as subnormal numbers.
__device__ unsigned factors(unsigned codes, int index) {
  return (codes >> (index / 2 * 8) & 0x000f000fu << bits_below(index)) ^ 0x00080008u
                                                                             << bits_below(index);
}

__global__ void __launch_bounds__(kThreads, 2) product(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int team = threadIdx.x / kTeamThreads, thread = threadIdx.x % kTeamThreads;
  const int warp = thread / 32, lane = thread % 32;
  const int first_column = blockIdx.x * kColumns;
  const int groups = p.k / kGroup, first_group = groups * team / kTeams;
  const int steps = (groups * (team + 1) / kTeams - first_group) * kStepsPerGroup;
  const int most_steps = (groups + kTeams - 1) / kTeams * kStepsPerGroup;
  const unsigned char* const ring = shared + team * kStages * kStageBytes;
  const unsigned ring_address = static_cast<unsigned>(__cvta_generic_to_shared(ring));

  // A thread copies a chunk of 16 bytes of one row of x and of every 16th row of packed weights.
  constexpr int kChunksPerRow = kRowBytes / 16, kRows = kTeamThreads / kChunksPerRow;
  static_assert(kRows == 16, "threads for all rows of x");
  const int own_row = thread / kChunksPerRow, own_chunk = thread % kChunksPerRow;
  const unsigned place = offset_bytes<kTileK>(own_row, own_chunk);
  const bool in_weights = first_column + own_chunk * kChunkCodes < p.n, in_x = own_row < p.m;
  const bool in_scales = first_column + thread * 8 < p.n;
  const long long row_bytes = p.n / 2;
  const unsigned char* own_weights = p.wq + (first_group * kGroup + own_row) * row_bytes +
                                     (in_weights ? first_column / 2 + own_chunk * 16 : 0);
  const __half* own_x = p.x + (in_x ? static_cast<long long>(own_row) * p.k : 0) +
                        first_group * kGroup + own_chunk * 8;
  const __half* own_scales =
      p.s + static_cast<long long>(first_group) * p.n + (in_scales ? first_column + thread * 8 : 0);
  const auto fill = [&](int step) {
    const unsigned stage = ring_address + step % kStages * kStageBytes;
    const unsigned char* weights = own_weights + step * kTileK * row_bytes;
#pragma unroll
    for (int i = 0; i < kTileK / kRows; ++i)
      copy_async(stage + place + i * kRows * kRowBytes, weights + i * kRows * row_bytes,
                 in_weights);
    copy_async(stage + kPackedBytes + place, own_x + step * kTileK, in_x);
    if (step % kStepsPerGroup == kStepsPerGroup - 1 && thread < kColumns / 8)
      copy_async(stage + kScales + thread * 16,
                 own_scales + static_cast<long long>(step / kStepsPerGroup) * p.n, in_scales);
  };

  // Of a product's 8 columns the i-th is code j of the chunk's i-th four, and there is a product
  // for each j. So this thread's sums belong to rows lane / 4 and lane / 4 + 8 of x and to the
  // columns lane % 4 * 8 to + 7 of each chunk: [chunk][j][row * 2 + which four].
  float sums[kChunks][4][4] = {};                 // scaled by 2^(bits_below - 24)
  float codes[kChunks][4][4] = {}, rows[4] = {};  // of a group: sums of x times codes, sums of x
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fill(step);
    commit_copies();
  }
  for (int step = 0; step < most_steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step has arrived, and the stage before is free
    if (step + kStages - 1 < steps) fill(step + kStages - 1);
    commit_copies();
    if (step >= steps) continue;
    const int stage = step % kStages * kStageBytes;
#pragma unroll
    for (int inner = 0; inner < kTileK / 16; ++inner) {
      unsigned a[4], packed[4];
      load_matrices(a, ring_address + stage + kPackedBytes +
                           offset_bytes<kTileK>(lane % 16, inner * 2 + lane / 16));
      load_matrices_transposed(
          packed, ring_address + stage +
                      offset_bytes<kTileK>(inner * 16 + lane % 16, warp * kChunks + lane / 16));
#pragma unroll
      for (int chunk = 0; chunk < kChunks; ++chunk)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          multiply_add(codes[chunk][j], a, factors(packed[chunk * 2], j),
                       factors(packed[chunk * 2 + 1], j));
      multiply_add(rows, a, kOnes, kOnes);
    }
    if (step % kStepsPerGroup != kStepsPerGroup - 1) continue;

#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const auto* scales = reinterpret_cast<const __half2*>(
          ring + stage + kScales + (warp * kWarpColumns + chunk * kChunkCodes + lane % 4 * 8) * 2);
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const __half2 pair = scales[e % 2 * 2 + j / 2];
          const float scale = j % 2 == 0 ? __low2float(pair) : __high2float(pair);
          const float eight = 8.0f / static_cast<float>(1 << (24 - bits_below(j)));
          sums[chunk][j][e] += scale * (codes[chunk][j][e] - eight * rows[e / 2 * 2]);
          codes[chunk][j][e] = 0;
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
    for (int i = 0; i < kChunks * 4; ++i) {
      const float(&own)[4] = sums[i / 4][i % 4];
      other[i * kTeamThreads] = make_float4(own[0], own[1], own[2], own[3]);
    }
  }
  __syncthreads();
  if (team == 1) return;
#pragma unroll
  for (int i = 0; i < kChunks * 4; ++i) {
    const float4 part = other[i * kTeamThreads];
    const float unit = static_cast<float>(1 << (24 - bits_below(i % 4)));
    float(&own)[4] = sums[i / 4][i % 4];
    own[0] = (own[0] + part.x) * unit;
    own[1] = (own[1] + part.y) * unit;
    own[2] = (own[2] + part.z) * unit;
    own[3] = (own[3] + part.w) * unit;
  }
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = lane / 4 + half * 8;
      const int column = first_column + warp * kWarpColumns + chunk * kChunkCodes + lane % 4 * 8;
      if (row >= p.m || column >= p.n) continue;
      auto* to = reinterpret_cast<__half2*>(p.y + static_cast<long long>(row) * p.n + column);
#pragma unroll
      for (int i = 0; i < 4; ++i)
        to[i] = __floats2half2_rn(sums[chunk][i % 2 * 2][half * 2 + i / 2],
                                  sums[chunk][i % 2 * 2 + 1][half * 2 + i / 2]);
    }
}

void launch(const Problem& p, cudaStream_t stream) {
  cudaFuncSetAttribute(product, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  product<<<(p.n + kColumns - 1) / kColumns, kThreads, kBytes, stream>>>(p);
}

}  // namespace few_rows

namespace portable {

constexpr int kTileN = 128;
constexpr int kTileK = 64;
constexpr int kStages = 4;
constexpr int kWarpN = 32;
constexpr int kBits = 4;

__device__ void copy_word_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 4 : 0)
               : "memory");
}

template <int kTileM, int kWarpM>
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
            *reinterpret_cast<const unsigned*>(packed + row * kRowBytes + (run * kBits + w) * 4) ^
            0x88888888u;
      words[kBits] = 0;
#pragma unroll
      for (int chunk = 0; chunk < 4; ++chunk) {
        const uint4 scales = __ldg(reinterpret_cast<const uint4*>(p.s + group) + chunk);
        const unsigned of_pair[4] = {scales.x, scales.y, scales.z, scales.w};
        unsigned pairs[4];
#pragma unroll
        for (int j = 0; j < 4; ++j)
          pairs[j] = weights_of(code(words, chunk * 8 + j * 2), code(words, chunk * 8 + j * 2 + 1),
                                of_pair[j]);
        *reinterpret_cast<uint4*>(decoded + offset_bytes<kTileN>(row, run * 4 + chunk)) =
            make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      }
    }
  }
  static __device__ unsigned code(const unsigned (&words)[kBits + 1], int index) {
    const int bit = index * kBits;
    return __funnelshift_r(words[bit / 32], words[bit / 32 + 1], bit % 32) & ((1u << kBits) - 1);
  }
};

template <int kTileM, int kWarpM>
__global__ void __launch_bounds__(Block<kTileM, kWarpM>::kThreads) product(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  using B = Block<kTileM, kWarpM>;
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

template <int kTileM, int kWarpM>
void launch(const Problem& p, cudaStream_t stream) {
  using B = Block<kTileM, kWarpM>;
  cudaFuncSetAttribute(product<kTileM, kWarpM>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       B::kBytes);
  const dim3 grid((p.m + kTileM - 1) / kTileM, (p.n + kTileN - 1) / kTileN);
  product<kTileM, kWarpM><<<grid, B::kThreads, B::kBytes, stream>>>(p);
}

void launch(const Problem& p, cudaStream_t stream) {
  if (p.m <= 64)
    launch<64, 32>(p, stream);
  else
    launch<128, 64>(p, stream);
}

}  // namespace portable

}  // namespace

extern "C" void solve(const __half* x, const unsigned char* wq, const __half* s, __half* y, int m,
                      int k, int n, cudaStream_t stream) {
  const Problem p{x, wq, s, y, m, k, n};
  if (m > 64 && hopper::built())
    hopper::launch(p, stream);
  else if (m <= 16)
    few_rows::launch(p, stream);
  else
    portable::launch(p, stream);
}
