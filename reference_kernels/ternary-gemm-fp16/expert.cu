// Specialist: two ways; the host takes the first where the device code was built with its kernel.
//
// Hopper (sm_90a): the weights are first written out as f16, next to the product a small cost: 32
// bytes per word of 16. The product is wgmma fed by the bulk copy engine. A block computes tiles of
// 128 x 256 of y, one after the other. Its first warpgroup has one thread that asks for the tiles
// of x and of the weights, 64 deep, four stages ahead; two more warpgroups multiply, 64 x 256 each,
// the sums in registers. A stage has two mbarriers: `full` counts the bytes that arrive, `empty`
// the warps that have read them. Two blocks of a cluster compute tiles above one another: each
// loads its own rows of x and half of the weights that both need, which the copy engine writes into
// both. Bound by the tensor cores.
//
// Elsewhere: mma.sync. A block computes 128 x 256 of y from a pipeline of 64-deep tiles in shared
// memory, filled by 16-byte cp.async: activations in f16, read by ldmatrix, and weights as they are
// packed, four words a row. The four lanes that share a column of a fragment read one word and cut
// their pairs out of it. 8 warps compute 64 x 64 each. Copies of 16 bytes need a number of words a
// row that is a multiple of 4; otherwise the words are first copied into scratch with padded rows.
//
// A pair of codes becomes 1024 + c by an OR with the bits of 1024, and c - 1 by a subtraction,
// exactly; scales are applied to the sums in registers. 16-byte chunks of a tile row are permuted
// by the row number (exclusive or) against bank conflicts. Tiles are numbered in groups of rows, so
// that the ones that run together share factors in the L2 cache.
#include <cuda.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kStages = 4;

struct Problem {
  const __half* x;
  const unsigned* packed;
  const float* gamma;
  __half* y;
  int m, rows, cols, words;  // words: of a row of packed
  int rows_of_shard;
};

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// Two codes (bits 0, 1 and 16, 17) as a pair of weights.
__device__ unsigned weights_of(unsigned codes) {
  const unsigned shifted = codes | 0x64006400u;  // 1024 + c
  const __half2 weights =
      __hsub2(*reinterpret_cast<const __half2*>(&shifted),
              __halves2half2(__ushort_as_half(0x6401), __ushort_as_half(0x6401)));
  return *reinterpret_cast<const unsigned*>(&weights);
}

__device__ unsigned rounded_pair(float first, float second) {
  const __half2 pair = __floats2half2_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}

/// Row and column of tile `index` of c, where tiles are kRows x kTileN and kGroup rows of tiles are
/// numbered together.
template <int kRows, int kGroup>
__device__ int2 place_of_tile(const Problem& p, int index) {
  const int tile_rows = (p.m + kRows - 1) / kRows, tile_columns = (p.rows + kTileN - 1) / kTileN;
  const int group = index / (kGroup * tile_columns);
  const int rows_in_group = min(kGroup, tile_rows - group * kGroup);
  const int within = index % (kGroup * tile_columns);
  return make_int2((group * kGroup + within % rows_in_group) * kRows,
                   within / rows_in_group * kTileN);
}

namespace hopper {

constexpr int kCluster = 2;    // blocks, each with its own rows of the cluster's tile
constexpr int kConsumers = 2;  // warpgroups that multiply
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kSpan = 64;            // elements in the 128 bytes that a swizzled row takes
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kTileABytes = kTileM * kTileK * 2, kTileBBytes = kTileK * kTileN * 2;
constexpr int kStageBytes = kTileABytes + kTileBBytes;
constexpr int kSharedBytes = kStages * kStageBytes + kSwizzleBytes;
constexpr int kTileRows = kCluster * kTileM;
constexpr int kShareRows = kTileN / kCluster;  // weight rows that a block loads for both
static_assert(kTileK == kSpan && kTileM == 64 * kConsumers);

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

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

/// Describes a swizzled operand for wgmma: rows of 128 bytes; 8 of them, 1024 bytes, make a unit,
/// and units follow one another.
__device__ uint64_t operand(unsigned address) {
  constexpr uint64_t kSwizzle128 = 1;
  return kSwizzle128 << 62 | static_cast<uint64_t>(kSwizzleBytes >> 4) << 32 |
         (address & 0x3ffff) >> 4;
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
      "}, %128, %129, add, 1, 1, 0, 0;\n"
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

/// Of the columns of a tile, mostly of one shard.
struct Scales {
  const Problem& p;
  float common;
  bool mixed;

  __device__ Scales(const Problem& problem, int first) : p(problem) {
    const int shard = first / p.rows_of_shard;
    common = p.gamma[shard];
    mixed = min(first + kTileN, p.rows) > (shard + 1) * p.rows_of_shard;
  }
  __device__ float of(int column) const {
    return mixed && column < p.rows ? p.gamma[column / p.rows_of_shard] : common;
  }
};

/// Eight columns.
__device__ void store(const Problem& p, int row, int column, const unsigned (&pairs)[4]) {
  if (row >= p.m || column >= p.rows) return;
  __half* target = p.y + static_cast<long long>(row) * p.rows + column;
  if (p.rows % 8 == 0) {
    *reinterpret_cast<uint4*>(target) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (column + i < p.rows)
      target[i] = __ushort_as_half(static_cast<unsigned short>(pairs[i / 2] >> i % 2 * 16));
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
  const int rank = block_of_cluster(), steps = (p.cols + kTileK - 1) / kTileK;
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
        load_for_all(b_tile + rank * kShareRows * kTileK * 2, b_map, full(turn.stage),
                     place.y + rank * kShareRows, step * kTileK);
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
          multiply(sums, operand(a_tile + (consumer * 64 * kTileK + inner) * 2),
                   operand(b_tile + inner * 2), step > 0 || inner > 0);
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
      const Scales scales(p, place.y);
#pragma unroll
      for (int j = 0; j < kTileN / 8; j += 4)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          unsigned pairs[4];
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int column = place.y + (j + i) * 8 + lane % 4 * 2;
            pairs[i] = rounded_pair(sums[j + i][2 * half] * scales.of(column),
                                    sums[j + i][2 * half + 1] * scales.of(column + 1));
          }
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

/// Words of 16 codes as f16 numbers.
__global__ void unpack(const unsigned* __restrict__ packed, uint4* __restrict__ weights,
                       long long words) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < words;
       i += stride) {
    const unsigned word = packed[i];
    unsigned pairs[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      pairs[j] = weights_of((word >> 4 * j & 3) | (word >> 4 * j << 14 & 0x30000));
    weights[2 * i] = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    weights[2 * i + 1] = make_uint4(pairs[4], pairs[5], pairs[6], pairs[7]);
  }
}

void launch(const Problem& p, cudaStream_t stream) {
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const long long words = static_cast<long long>(p.rows) * (p.cols / 16);
  __half* weights = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&weights), words * 32, stream);
  unpack<<<multiprocessors * 8, 256, 0, stream>>>(p.packed, reinterpret_cast<uint4*>(weights),
                                                  words);
  const int tiles = ((p.m + kTileRows - 1) / kTileRows) * ((p.rows + kTileN - 1) / kTileN);
  const int clusters = tiles < multiprocessors / kCluster ? tiles : multiprocessors / kCluster;
  cudaFuncSetAttribute(multiply_tiles, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  multiply_tiles<<<clusters * kCluster, kThreads, kSharedBytes, stream>>>(
      tensor_map(p.x, p.m, p.cols, kTileM), tensor_map(weights, p.rows, p.cols, kShareRows), p,
      tiles);
  cudaFreeAsync(weights, stream);
}

}  // namespace hopper

namespace portable {

constexpr int kThreads = 256;
constexpr int kWarpM = 64, kWarpN = 64;  // of y, per warp: 2 x 4 warps
constexpr int kChunk = 8;                // halves in 16 bytes
constexpr int kChunks = kTileK / kChunk;
constexpr int kWords = kTileK / 16;  // of a row of weights in a tile
constexpr int kXBytes = kTileM * kTileK * 2, kWeightBytes = kTileN * kWords * 4;
constexpr int kStageBytes = kXBytes + kWeightBytes;
constexpr int kSharedBytes = kStages * kStageBytes;
/// 16 bytes from global to shared memory, or zeros where there are none.
__device__ void copy_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 16 : 0));
}
__device__ void commit_copies() { asm volatile("cp.async.commit_group;"); }
template <int kPending>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

struct Fragment {
  unsigned registers[4];
};

__device__ Fragment load_matrices(unsigned address) {
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.registers[0]), "=r"(f.registers[1]), "=r"(f.registers[2]),
                 "=r"(f.registers[3])
               : "r"(address)
               : "memory");
  return f;
}

/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const Fragment& a, unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.registers[0]), "r"(a.registers[1]), "r"(a.registers[2]), "r"(a.registers[3]), "r"(b0),
        "r"(b1));
}

__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
}

__device__ void fill_stage(const Problem& p, unsigned stage, int row, int column, int step) {
#pragma unroll
  for (int i = 0; i < kTileM * kChunks / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int tile_row = index / kChunks, chunk = index % kChunks;
    const int k = step * kTileK + chunk * kChunk;
    const bool inside = row + tile_row < p.m && k < p.cols;
    const long long source = static_cast<long long>(row + tile_row) * p.cols + k;
    copy_async(stage + offset_bytes(tile_row, chunk), p.x + (inside ? source : 0), inside);
  }
  const bool inside = column + static_cast<int>(threadIdx.x) < p.rows && step * kWords < p.words;
  const long long source = static_cast<long long>(column + threadIdx.x) * p.words + step * kWords;
  copy_async(stage + kXBytes + threadIdx.x * 16, p.packed + (inside ? source : 0), inside);
}
static_assert(kTileN == kThreads && kWords == 4);

__device__ void store(const Problem& p, int row, int column, float first, float second) {
  if (row >= p.m || column >= p.rows) return;
  __half* target = p.y + static_cast<long long>(row) * p.rows + column;
  first *= __ldg(p.gamma + column / p.rows_of_shard);
  if (column + 1 < p.rows) second *= __ldg(p.gamma + (column + 1) / p.rows_of_shard);
  if (p.rows % 2 == 0) {
    *reinterpret_cast<__half2*>(target) = __floats2half2_rn(first, second);
  } else {
    target[0] = __float2half(first);
    if (column + 1 < p.rows) target[1] = __float2half(second);
  }
}

__global__ void __launch_bounds__(kThreads) multiply(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const int2 place = place_of_tile<kTileM, 8>(p, blockIdx.x);
  const int steps = (p.cols + kTileK - 1) / kTileK;

  float sums[kWarpM / 16][kWarpN / 8][4] = {};
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps) fill_stage(p, base + stage * kStageBytes, place.x, place.y, stage);
    commit_copies();
  }

  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (const int next = step + kStages - 1; next < steps)
      fill_stage(p, base + next % kStages * kStageBytes, place.x, place.y, next);
    commit_copies();

    const unsigned stage = step % kStages * kStageBytes;
    const auto* words = reinterpret_cast<const unsigned*>(shared + stage + kXBytes);
#pragma unroll
    for (int inner = 0; inner < kTileK / 16; ++inner) {
      Fragment a[kWarpM / 16];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        a[i] = load_matrices(base + stage +
                             offset_bytes(warp_row + i * 16 + lane % 16, inner * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 8; ++j) {
        const unsigned word =
            words[(warp_column + j * 8 + lane / 4) * kWords + inner] >> (lane % 4 * 4);
        const unsigned b0 = weights_of((word & 3) | (word << 14 & 0x30000));
        const unsigned b1 = weights_of((word >> 16 & 3) | (word >> 2 & 0x30000));
#pragma unroll
        for (int i = 0; i < kWarpM / 16; ++i) multiply_add(sums[i][j], a[i], b0, b1);
      }
    }
  }

#pragma unroll
  for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpN / 8; ++j) {
      const int row = place.x + warp_row + i * 16 + lane / 4;
      const int column = place.y + warp_column + j * 8 + lane % 4 * 2;
      store(p, row, column, sums[i][j][0], sums[i][j][1]);
      store(p, row + 8, column, sums[i][j][2], sums[i][j][3]);
    }
}

__global__ void pad_rows(const unsigned* __restrict__ from, unsigned* __restrict__ to, int rows,
                         int words, int padded) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < static_cast<long long>(rows) * padded; i += stride)
    to[i] = i % padded < words ? from[i / padded * words + i % padded] : 0;
}

void launch(Problem p, cudaStream_t stream) {
  const int words = p.words;
  unsigned* scratch = nullptr;
  p.words = (words + kWords - 1) / kWords * kWords;
  if (p.words != words) {
    cudaMallocAsync(reinterpret_cast<void**>(&scratch),
                    static_cast<size_t>(p.rows) * p.words * sizeof(unsigned), stream);
    pad_rows<<<528, 256, 0, stream>>>(p.packed, scratch, p.rows, words, p.words);
    p.packed = scratch;
  }
  const int tiles = ((p.m + kTileM - 1) / kTileM) * ((p.rows + kTileN - 1) / kTileN);
  cudaFuncSetAttribute(multiply, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  multiply<<<tiles, kThreads, kSharedBytes, stream>>>(p);
  if (scratch != nullptr) cudaFreeAsync(scratch, stream);
}

}  // namespace portable

}  // namespace

extern "C" void solve(const __half* x, const unsigned int* packed, const float* gamma, __half* y,
                      int m, int rows, int cols, int shards, cudaStream_t stream) {
  const Problem p{x, packed, gamma, y, m, rows, cols, cols / 16, rows / shards};
  if (hopper::built())
    hopper::launch(p, stream);
  else
    portable::launch(p, stream);
}
