// Specialist: two kernels; the host takes the first where the device code was built with it.
//
// Hopper (sm_90a): wgmma fed by the bulk copy engine. A block computes tiles of 128 x 256 of c, one
// after the other. Its first warpgroup has one thread that asks for the tiles of a and b, 64 deep,
// four stages ahead; two more warpgroups multiply, 64 x 256 each, the sums in registers. A stage
// has two mbarriers: `full` counts the bytes that arrive, `empty` the warps that have read them.
// Two blocks of a cluster compute tiles above one another: each loads its own part of a and half of
// the part of b that both need, which the copy engine writes into both. b stays row-major: wgmma
// reads it transposed. Bound by the tensor cores; per multiprocessor 32 bytes a cycle come from L2.
//
// Elsewhere: mma.sync from a pipeline of 64-deep tiles in shared memory, filled by 16-byte cp.async
// and read by ldmatrix; 8 warps compute 64 x 64 each of 128 x 256.
//
// Both permute the 16-byte chunks of a tile row by the row number (exclusive or) against bank
// conflicts, and number the tiles in groups of rows, so that the ones that run together share
// factors in the L2 cache.
#include <cuda.h>
#include <cuda_bf16.h>

#include <cstdint>

namespace {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kStages = 4;
constexpr int kChunk = 8;  // elements in 16 bytes
constexpr int kTileABytes = kTileM * kTileK * 2, kTileBBytes = kTileK * kTileN * 2;
constexpr int kStageBytes = kTileABytes + kTileBBytes;

struct Problem {
  const __nv_bfloat16* a;
  const __nv_bfloat16* b;
  __nv_bfloat16* c;
  int m, n, k;
  int a_stride, b_stride;  // elements; multiples of 8
};

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

__device__ unsigned rounded_pair(float first, float second) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
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

namespace hopper {

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
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
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
    *reinterpret_cast<uint4*>(p.c + static_cast<long long>(row) * p.n + column) =
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
    matmul(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap b_map,
           const Problem p, int tiles) {
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
  return cudaFuncGetAttributes(&attributes, matmul) == cudaSuccess &&
         attributes.sharedSizeBytes >= 2 * kStages * sizeof(uint64_t);
}

/// For boxes of `box_rows` x 64 elements of a row-major matrix, swizzled; zeros beyond its edges.
CUtensorMap tensor_map(const __nv_bfloat16* matrix, int rows, int columns, int stride,
                       unsigned box_rows) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides_bytes[] = {static_cast<cuuint64_t>(stride) * sizeof(__nv_bfloat16)};
  const cuuint32_t box[] = {kSpan, box_rows}, steps[] = {1, 1};
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<__nv_bfloat16*>(matrix), sizes,
      strides_bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

void launch(const Problem& p, cudaStream_t stream) {
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const int tiles = ((p.m + kTileRows - 1) / kTileRows) * ((p.n + kTileN - 1) / kTileN);
  const int clusters = tiles < multiprocessors / kCluster ? tiles : multiprocessors / kCluster;
  cudaFuncSetAttribute(matmul, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  matmul<<<clusters * kCluster, kThreads, kSharedBytes, stream>>>(
      tensor_map(p.a, p.m, p.k, p.a_stride, kTileM), tensor_map(p.b, p.k, p.n, p.b_stride, kTileK),
      p, tiles);
}

}  // namespace hopper

namespace portable {

constexpr int kThreads = 256;
constexpr int kWarpM = 64, kWarpN = 64;  // of c, per warp: 2 x 4 warps
constexpr int kSharedBytes = kStages * kStageBytes;

/// 16 bytes from global to shared memory, or zeros where there are none.
__device__ void copy_async(unsigned target, const __nv_bfloat16* source, bool inside) {
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
__device__ Fragment load_matrices_transposed(unsigned address) {
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.registers[0]), "=r"(f.registers[1]), "=r"(f.registers[2]),
                 "=r"(f.registers[3])
               : "r"(address)
               : "memory");
  return f;
}

/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const Fragment& a, unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.registers[0]), "r"(a.registers[1]), "r"(a.registers[2]), "r"(a.registers[3]), "r"(b0),
        "r"(b1));
}

/// A tile of kRows rows of kColumns elements in shared memory, chunks permuted within each row.
template <int kRows, int kColumns>
struct Tile {
  static constexpr int kChunks = kColumns / kChunk;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }

  /// Copies the part of a row-major matrix that starts at (first_row, first_column).
  static __device__ void fill(unsigned base, const __nv_bfloat16* matrix, int rows, int columns,
                              int row_stride, int first_row, int first_column) {
#pragma unroll
    for (int i = 0; i < kRows * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads;
      const int row = index / kChunks, chunk = index % kChunks;
      const int source_row = first_row + row, source_column = first_column + chunk * kChunk;
      const bool inside = source_row < rows && source_column < columns;
      const long long source = static_cast<long long>(source_row) * row_stride + source_column;
      copy_async(base + offset_bytes(row, chunk), matrix + (inside ? source : 0), inside);
    }
  }
};
using TileA = Tile<kTileM, kTileK>;
using TileB = Tile<kTileK, kTileN>;

__device__ void fill_stage(const Problem& p, unsigned stage, int row, int column, int step) {
  TileA::fill(stage, p.a, p.m, p.a_stride, p.a_stride, row, step * kTileK);
  TileB::fill(stage + kTileABytes, p.b, p.k, p.b_stride, p.b_stride, step * kTileK, column);
}

__device__ void store(const Problem& p, int row, int column, float first, float second) {
  if (row < p.m && column < p.n)
    *reinterpret_cast<unsigned*>(p.c + static_cast<long long>(row) * p.n + column) =
        rounded_pair(first, second);
}

__global__ void __launch_bounds__(kThreads) matmul(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const int2 place = place_of_tile<kTileM, 8>(p, blockIdx.x);
  const int steps = (p.k + kTileK - 1) / kTileK;

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

    const unsigned a_tile = base + step % kStages * kStageBytes;
    const unsigned b_tile = a_tile + kTileABytes;
#pragma unroll
    for (int inner = 0; inner < kTileK; inner += 16) {
      Fragment a[kWarpM / 16], b[kWarpN / 16];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        a[i] = load_matrices(a_tile + TileA::offset_bytes(warp_row + i * 16 + lane % 16,
                                                          inner / kChunk + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)
        b[j] = load_matrices_transposed(
            b_tile +
            TileB::offset_bytes(inner + lane % 16, (warp_column + j * 16) / kChunk + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2].registers[j % 2 * 2],
                       b[j / 2].registers[j % 2 * 2 + 1]);
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

void launch(const Problem& p, cudaStream_t stream) {
  const int tiles = ((p.m + kTileM - 1) / kTileM) * ((p.n + kTileN - 1) / kTileN);
  cudaFuncSetAttribute(matmul, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  matmul<<<tiles, kThreads, kSharedBytes, stream>>>(p);
}

}  // namespace portable

}  // namespace

extern "C" void solve(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* c, int m,
                      int n, int k, cudaStream_t stream) {
  const Problem problem{a, b, c, m, n, k, k, n};
  if (hopper::built())
    hopper::launch(problem, stream);
  else
    portable::launch(problem, stream);
}
