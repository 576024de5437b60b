// Specialist: a kernel for v, three products for the layers, whose epilogues add biases, apply
// masks and round, and one kernel for the matrix that runs the five products of a tile one after
// the other and combines them where they are: the first product of each pair waits in registers
// while the second is formed. Tiles on or above the diagonal only; each entry is written twice.
// Bound by the tensor cores.
//
// On Hopper (sm_90a), where the device code was built with those kernels, products are wgmma fed by
// the bulk copy engine. The first warpgroup of a block has one thread that asks for tiles, 64 deep,
// as many stages ahead as shared memory holds; two more warpgroups multiply 64 rows each. A stage
// has two mbarriers: `full` counts the bytes that arrive, `empty` the warps that have read them.
// Two blocks of a cluster compute tiles above one another: each loads its own part of the left
// factor and half of the part of the right one that both need, which the copy engine writes into
// both. Tiles of a layer are 128 x 256, so that the products of a layer take two rounds of 132
// multiprocessors with few of them idle. Those of the matrix are 128 x 192: registers hold two
// accumulators of that width, not three, so what three of the five products add up to waits in
// global memory, 96 KiB a block, for the other two. The product with w2 transposed reads w2 as it
// lies: wgmma takes the right factor either way.
//
// Elsewhere tiles are 128 x 64 with mma.sync, and two sums and the total are alive at a time.
// Operands come through shared memory by cp.async, three steps deep.
//
// Both permute the 16-byte chunks of a tile row by the row number against bank conflicts.
#include <cuda.h>
#include <cuda_bf16.h>

#include <cstdint>

namespace {

struct Problem {
  const __nv_bfloat16 *x, *w1, *w2;
  const float *b1, *b2;
  __nv_bfloat16 *a1, *a2, *d1, *d2;  // [n][h]
  const __nv_bfloat16* v;            // [h]
  float* k;
  int n, d, h;
};

constexpr int kUnits = 32, kSlices = 16;  // of a block of sum_logits

/// A warp adds every kSlices-th logit.
__global__ void __launch_bounds__(kUnits* kSlices)
    sum_logits(const __nv_bfloat16* __restrict__ w3, __nv_bfloat16* v, int h, int outputs) {
  __shared__ float slices[kSlices][kUnits];
  const int lane = threadIdx.x % kUnits, slice = threadIdx.x / kUnits;
  const int u = blockIdx.x * kUnits + lane;
  float sum = 0;
  if (u < h) {
#pragma unroll 8
    for (int o = slice; o < outputs; o += kSlices)
      sum += __bfloat162float(w3[static_cast<long long>(o) * h + u]);
  }
  slices[slice][lane] = sum;
  __syncthreads();
  if (slice > 0 || u >= h) return;
  for (int other = 1; other < kSlices; ++other) sum += slices[other][lane];
  v[u] = __float2bfloat16(sum / sqrtf(static_cast<float>(outputs)));
}

namespace hopper {

constexpr int kCluster = 2;    // blocks, each with its own rows of the cluster's tile
constexpr int kConsumers = 2;  // warpgroups that multiply
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kRows = 64 * kConsumers, kDepth = 64;  // of a block's tile; of a step
constexpr int kClusterRows = kCluster * kRows;
constexpr int kLayerColumns = 256, kMatrixColumns = 192;
constexpr int kSpan = 64;            // elements in the 128 bytes that a swizzled row takes
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
static_assert(kDepth == kSpan && kLayerColumns % (kCluster * kSpan) == 0);

/// Stages of tiles of both factors for tiles of the result of kRows x kColumns.
template <int kColumns>
struct Stages {
  static constexpr int kLeftBytes = kRows * kDepth * 2;
  static constexpr int kShareBytes = kColumns / kCluster * kDepth * 2;  // what one block loads
  static constexpr int kBytes = kLeftBytes + kCluster * kShareBytes;
  static constexpr int kCount = 226 * 1024 / kBytes;
  static constexpr int kSharedBytes = kCount * kBytes + kSwizzleBytes;
  static_assert(kLeftBytes % kSwizzleBytes == 0 && kShareBytes % kSwizzleBytes == 0);
};

enum class Layer { kFirst, kSecond, kBackward };

/// Tiles of a cluster of a layer.
__host__ __device__ int count_of_layer_tiles(const Problem& p) {
  return (p.n + kClusterRows - 1) / kClusterRows * ((p.h + kLayerColumns - 1) / kLayerColumns);
}
/// Tiles of a cluster of the matrix that reach the diagonal or lie above it, in one row of tiles.
__host__ __device__ int count_in_row(const Problem& p, int tile_row) {
  return (p.n + kMatrixColumns - 1) / kMatrixColumns - tile_row * kClusterRows / kMatrixColumns;
}

/// Maps of the factors of the matrix, in the order in which they are multiplied by themselves.
constexpr int kFactors = 5;
struct Factors {
  CUtensorMap left[kFactors], right[kFactors];
};
__host__ __device__ int depth_of_factor(const Problem& p, int factor) {
  return factor + 1 < kFactors ? p.h : p.d;  // d2, a1, a2, d1; x
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
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

constexpr int kSpanBytes = kDepth * kSpan * 2;

/// Sums of a thread for 64 rows of kColumns columns of a warpgroup: columns 8 j + lane % 4 * 2 and
/// the next, of row lane / 4 of its warp's 16 rows, and of the 8th below.
template <int kColumns>
using Sums = float[kColumns / 8][4];

/// Keeps the compiler from moving uses of a product's registers across this place.
template <int kCount>
__device__ __forceinline__ void settle(float (&d)[kCount][4]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    asm volatile("" : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])::"memory");
}

#define SUMS(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define SUMS_8(j) \
  SUMS(j), SUMS(j + 1), SUMS(j + 2), SUMS(j + 3), SUMS(j + 4), SUMS(j + 5), SUMS(j + 6), SUMS(j + 7)

/// 64 rows of d = 64 x 16 of a times 16 deep columns of b, plus d if `add`.
template <bool kTransposed>
__device__ __forceinline__ void multiply(Sums<256>& d, uint64_t a, uint64_t b, bool add) {
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
      "}, %128, %129, add, 1, 1, 0, %131;\n"
      "}"
      : SUMS_8(0), SUMS_8(8), SUMS_8(16), SUMS_8(24)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(static_cast<int>(kTransposed)));
}
template <bool kTransposed>
__device__ __forceinline__ void multiply(Sums<192>& d, uint64_t a, uint64_t b, bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %98, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
      "}, %96, %97, add, 1, 1, 0, %99;\n"
      "}"
      : SUMS_8(0), SUMS_8(8), SUMS_8(16)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(static_cast<int>(kTransposed)));
}
#undef SUMS_8
#undef SUMS

/// The stages of a block, and how far this thread has come in their ring. Threads that load and
/// threads that multiply go the same way round, each with a Pipeline of its own.
template <int kColumns>
struct Pipeline {
  using Shape = Stages<kColumns>;

  unsigned stages, full, empty;  // the barriers: 8 bytes a stage
  int rank;                      // of this block in its cluster
  int stage = 0, parity = 0;

  /// All threads of the cluster.
  __device__ Pipeline(unsigned dynamic, unsigned barriers)
      : stages((dynamic + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes),
        full(barriers),
        empty(barriers + 8 * Shape::kCount),
        rank(block_of_cluster()) {
    if (threadIdx.x == 0) {
      for (int i = 0; i < Shape::kCount; ++i) {
        create_barrier(full + 8 * i, 1);
        create_barrier(empty + 8 * i, kCluster * kConsumers * 4);
      }
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
  }

  __device__ void advance() {
    if (++stage < Shape::kCount) return;
    stage = 0;
    parity ^= 1;
  }

  /// One thread asks for the factors of the cluster's tile at (row, column), step by step. A
  /// transposed right factor lies in spans of kSpan columns, each of kDepth rows.
  template <bool kTransposed>
  __device__ void load_product(const CUtensorMap& left, const CUtensorMap& right, int depth,
                               int row, int column) {
    for (int start = 0; start < depth; start += kDepth, advance()) {
      const unsigned arrived = full + 8 * stage, of_left = stages + stage * Shape::kBytes;
      const unsigned share = of_left + Shape::kLeftBytes + rank * Shape::kShareBytes;
      const int share_column = column + rank * (kColumns / kCluster);
      wait(empty + 8 * stage, parity ^ 1);
      arrive_expecting(arrived, Shape::kBytes);
      load(of_left, left, arrived, row + rank * kRows, start);
      if constexpr (kTransposed) {
        for (int i = 0; i < kColumns / kCluster / kSpan; ++i)
          load_for_all(share + i * kSpanBytes, right, arrived, start, share_column + i * kSpan);
      } else {
        load_for_all(share, right, arrived, share_column, start);
      }
    }
  }
  /// Warps of the other block arrive here as long as they compute.
  __device__ void drain() {
    for (int i = 0; i < Shape::kCount; ++i, advance()) wait(empty + 8 * stage, parity ^ 1);
  }

  /// This stage is read: tells the threads that load, in all blocks that write into it.
  __device__ void release(int read) const {
    const int lane = threadIdx.x % 32;
    if (lane < kCluster) arrive_at(empty + 8 * read, lane);
  }
  /// A warpgroup's 64 rows of a product.
  template <bool kTransposed>
  __device__ __forceinline__ void multiply_all(Sums<kColumns>& sums, int depth) {
    const int consumer = threadIdx.x / 128 - 1;
    int before = 0;
#pragma unroll 1
    for (int start = 0; start < depth; start += kDepth, advance()) {
      const unsigned of_left = stages + stage * Shape::kBytes + consumer * 64 * kDepth * 2;
      const unsigned of_right = stages + stage * Shape::kBytes + Shape::kLeftBytes;
      wait(full + 8 * stage, parity);
      begin_products();
#pragma unroll
      for (int inner = 0; inner < kDepth; inner += 16)
        multiply<kTransposed>(sums, operand(of_left + inner * 2, 0),
                              kTransposed ? operand(of_right + inner * kSpan * 2, kSpanBytes)
                                          : operand(of_right + inner * 2, 0),
                              start > 0 || inner > 0);
      commit_products();
      wait_for_products<1>();  // of the step before
      if (start > 0) release(before);
      before = stage;
    }
    wait_for_products<0>();
    settle(sums);
    release(before);
  }
};

__device__ unsigned rounded_pair(float first, float second) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}
/// The halves of a pair that a condition lets through; the others 0.
__device__ unsigned masked(unsigned pair, bool first, bool second) {
  return pair & ((first ? 0xffffu : 0u) | (second ? 0xffff0000u : 0u));
}
/// The halves of a pair where another pair is positive; the others 0.
__device__ unsigned masked_by(unsigned pair, unsigned other) {
  return masked(pair, __uint_as_float(other << 16) > 0, __uint_as_float(other & 0xffff0000u) > 0);
}

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
/// Stores pairs of two columns of each of four lanes, eight columns a lane, which begin at `at`.
__device__ __forceinline__ void store_columns(__nv_bfloat16* matrix, bool inside, long long at,
                                              unsigned (&pairs)[4]) {
  transpose(pairs);
  if (inside)
    *reinterpret_cast<uint4*>(matrix + at) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}

/// Biases, masks and rounding; what a layer stores of this warpgroup's sums, whose first entry is
/// (row, column). h is a multiple of 8, so eight columns are inside or outside together.
template <Layer kLayer>
__device__ __forceinline__ void finish(const Problem& p, const Sums<kLayerColumns>& sums, int row,
                                       int column) {
  const int lane = threadIdx.x % 32;
  row += threadIdx.x / 32 % 4 * 16 + lane / 4;
#pragma unroll
  for (int j = 0; j < kLayerColumns / 8; j += 4) {
    float2 bias[4];
    unsigned v[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool inside = column + (j + i) * 8 < p.h;
      const int u = inside ? column + (j + i) * 8 + lane % 4 * 2 : 0;
      if constexpr (kLayer != Layer::kBackward)
        bias[i] = *reinterpret_cast<const float2*>((kLayer == Layer::kFirst ? p.b1 : p.b2) + u);
      if constexpr (kLayer == Layer::kSecond) v[i] = *reinterpret_cast<const unsigned*>(p.v + u);
    }
    const int stored = column + (j + lane % 4) * 8;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool inside = row + 8 * half < p.n && stored < p.h;
      const long long at = static_cast<long long>(row + 8 * half) * p.h + stored;
      unsigned pairs[4], gradients[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float first = sums[j + i][2 * half], second = sums[j + i][2 * half + 1];
        if constexpr (kLayer != Layer::kBackward) {
          first += bias[i].x;
          second += bias[i].y;
          if constexpr (kLayer == Layer::kSecond)
            gradients[i] = masked(v[i], first > 0, second > 0);
          first = fmaxf(first, 0.0f);
          second = fmaxf(second, 0.0f);
        }
        pairs[i] = rounded_pair(first, second);
      }
      if constexpr (kLayer == Layer::kFirst) {
        store_columns(p.a1, inside, at, pairs);
      } else if constexpr (kLayer == Layer::kSecond) {
        store_columns(p.a2, inside, at, pairs);
        store_columns(p.d2, inside, at, gradients);
      } else {
        transpose(pairs);
        if (inside) {
          const uint4 a1 = *reinterpret_cast<const uint4*>(p.a1 + at);
          *reinterpret_cast<uint4*>(p.d1 + at) =
              make_uint4(masked_by(pairs[0], a1.x), masked_by(pairs[1], a1.y),
                         masked_by(pairs[2], a1.z), masked_by(pairs[3], a1.w));
        }
      }
    }
  }
}

/// Row and column of a cluster's tile of a layer; eight rows of tiles are numbered together, so
/// that the ones that run together share factors in the L2 cache.
__device__ int2 place_in_layer(const Problem& p, int index) {
  constexpr int kGroup = 8;
  const int tile_rows = (p.n + kClusterRows - 1) / kClusterRows;
  const int tile_columns = (p.h + kLayerColumns - 1) / kLayerColumns;
  const int group = index / (kGroup * tile_columns), within = index % (kGroup * tile_columns);
  const int rows_in_group = min(kGroup, tile_rows - group * kGroup);
  return make_int2((group * kGroup + within % rows_in_group) * kClusterRows,
                   within / rows_in_group * kLayerColumns);
}
/// Row and column of a cluster's tile of the matrix.
__device__ int2 place_in_matrix(const Problem& p, int index) {
  int row = 0;
  while (index >= count_in_row(p, row)) index -= count_in_row(p, row++);
  return make_int2(row * kClusterRows,
                   (row * kClusterRows / kMatrixColumns + index) * kMatrixColumns);
}

/// first = first * (second + 1).
__device__ __forceinline__ void combine_pair(Sums<kMatrixColumns>& first,
                                             const Sums<kMatrixColumns>& second) {
#pragma unroll
  for (int j = 0; j < kMatrixColumns / 8; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) first[j][e] *= second[j][e] + 1;
}

/// Writes what lies on or above the diagonal, and its mirror image. The first entry of this
/// warpgroup is (row, column).
__device__ __forceinline__ void store_both(const Problem& p, const Sums<kMatrixColumns>& total,
                                           int row, int column) {
  const int lane = threadIdx.x % 32;
  const auto place = [&](int i, int j) { return p.k + static_cast<long long>(i) * p.n + j; };
  row += threadIdx.x / 32 % 4 * 16 + lane / 4;
  column += lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < kMatrixColumns / 8; ++j)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = row + 8 * half, c = column + 8 * j;
      const float first = total[j][2 * half], second = total[j][2 * half + 1];
      if (r <= c && c < p.n) __stcs(place(c, r), first);
      if (r <= c + 1 && c + 1 < p.n) __stcs(place(c + 1, r), second);
      if (r <= c && c < p.n && p.n % 2 == 0) {
        __stcs(reinterpret_cast<float2*>(place(r, c)), make_float2(first, second));
      } else {
        if (r < c && c < p.n) __stcs(place(r, c), first);
        if (r < c + 1 && c + 1 < p.n) __stcs(place(r, c + 1), second);
      }
    }
}

#endif

template <Layer kLayer>
__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    layer(const __grid_constant__ CUtensorMap left, const __grid_constant__ CUtensorMap right,
          const Problem p, int depth) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  constexpr bool kTransposed = kLayer == Layer::kBackward;
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t barriers[2 * Stages<kLayerColumns>::kCount];
  Pipeline<kLayerColumns> pipeline(shared_address(dynamic), shared_address(barriers));
  const int tiles = count_of_layer_tiles(p);
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x != 0) return;
    for (int tile = blockIdx.x / kCluster; tile < tiles; tile += gridDim.x / kCluster) {
      const int2 place = place_in_layer(p, tile);
      pipeline.load_product<kTransposed>(left, right, depth, place.x, place.y);
    }
    pipeline.drain();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    const int first_row = pipeline.rank * kRows + (threadIdx.x / 128 - 1) * 64;
    for (int tile = blockIdx.x / kCluster; tile < tiles; tile += gridDim.x / kCluster) {
      const int2 place = place_in_layer(p, tile);
      Sums<kLayerColumns> sums;
      pipeline.multiply_all<kTransposed>(sums, depth);
      finish<kLayer>(p, sums, place.x + first_row, place.y);
    }
  }
#endif
}

/// `waiting`: for every block and thread that multiplies, its sums.
__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    combine(const __grid_constant__ Factors factors, const Problem p, float4* waiting, int tiles) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t barriers[2 * Stages<kMatrixColumns>::kCount];
  Pipeline<kMatrixColumns> pipeline(shared_address(dynamic), shared_address(barriers));
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x != 0) return;
    for (int tile = blockIdx.x / kCluster; tile < tiles; tile += gridDim.x / kCluster) {
      const int2 place = place_in_matrix(p, tile);
      for (int factor = 0; factor < kFactors; ++factor)
        pipeline.load_product<false>(factors.left[factor], factors.right[factor],
                                     depth_of_factor(p, factor), place.x, place.y);
    }
    pipeline.drain();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    constexpr int kComputing = 128 * kConsumers;
    const int first_row = pipeline.rank * kRows + (threadIdx.x / 128 - 1) * 64;
    waiting += blockIdx.x * (kMatrixColumns / 8) * kComputing + threadIdx.x - 128;
    for (int tile = blockIdx.x / kCluster; tile < tiles; tile += gridDim.x / kCluster) {
      const int2 place = place_in_matrix(p, tile);
      Sums<kMatrixColumns> total, other;
      pipeline.multiply_all<false>(total, p.h);  // of d2
      pipeline.multiply_all<false>(other, p.h);  // of a1
      combine_pair(total, other);
      pipeline.multiply_all<false>(other, p.h);  // of a2
#pragma unroll
      for (int j = 0; j < kMatrixColumns / 8; ++j)
        waiting[j * kComputing] = make_float4(total[j][0] + other[j][0], total[j][1] + other[j][1],
                                              total[j][2] + other[j][2], total[j][3] + other[j][3]);
      pipeline.multiply_all<false>(total, p.h);  // of d1
      pipeline.multiply_all<false>(other, p.d);  // of x
      combine_pair(total, other);
#pragma unroll
      for (int j = 0; j < kMatrixColumns / 8; ++j) {
        const float4 rest = waiting[j * kComputing];
        total[j][0] += rest.x + 1;
        total[j][1] += rest.y + 1;
        total[j][2] += rest.z + 1;
        total[j][3] += rest.w + 1;
      }
      store_both(p, total, place.x + first_row, place.y);
    }
  }
#endif
}

/// The kernels above have no barriers where they were built without bodies.
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, combine) == cudaSuccess &&
         attributes.sharedSizeBytes >= 2 * Stages<kMatrixColumns>::kCount * sizeof(uint64_t);
}

/// For boxes of `box_rows` x 64 elements of a row-major matrix, swizzled; zeros beyond its edges.
CUtensorMap tensor_map(const __nv_bfloat16* matrix, int rows, int columns, unsigned box_rows) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides_bytes[] = {static_cast<cuuint64_t>(columns) * sizeof(__nv_bfloat16)};
  const cuuint32_t box[] = {kSpan, box_rows}, steps[] = {1, 1};
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<__nv_bfloat16*>(matrix), sizes,
      strides_bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

/// Blocks for so many tiles of clusters: at most one on each multiprocessor.
int count_of_blocks(int tiles) {
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const int clusters = multiprocessors / kCluster;
  return (tiles < clusters ? tiles : clusters) * kCluster;
}

template <Layer kLayer>
void launch_layer(const Problem& p, const __nv_bfloat16* left, const __nv_bfloat16* right,
                  int depth, cudaStream_t stream) {
  constexpr int kSharedBytes = Stages<kLayerColumns>::kSharedBytes;
  cudaFuncSetAttribute(layer<kLayer>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  layer<kLayer><<<count_of_blocks(count_of_layer_tiles(p)), kThreads, kSharedBytes, stream>>>(
      tensor_map(left, p.n, depth, kRows),
      kLayer == Layer::kBackward ? tensor_map(right, depth, p.h, kDepth)
                                 : tensor_map(right, p.h, depth, kLayerColumns / kCluster),
      p, depth);
}

void launch(const Problem& p, cudaStream_t stream) {
  launch_layer<Layer::kFirst>(p, p.x, p.w1, p.d, stream);
  launch_layer<Layer::kSecond>(p, p.a1, p.w2, p.h, stream);
  launch_layer<Layer::kBackward>(p, p.d2, p.w2, p.h, stream);

  Factors factors;
  const __nv_bfloat16* const matrices[kFactors] = {p.d2, p.a1, p.a2, p.d1, p.x};
  for (int i = 0; i < kFactors; ++i) {
    factors.left[i] = tensor_map(matrices[i], p.n, depth_of_factor(p, i), kRows);
    factors.right[i] =
        tensor_map(matrices[i], p.n, depth_of_factor(p, i), kMatrixColumns / kCluster);
  }
  int tiles = 0;
  for (int row = 0; row * kClusterRows < p.n; ++row) tiles += count_in_row(p, row);
  const int blocks = count_of_blocks(tiles);
  constexpr int kSharedBytes = Stages<kMatrixColumns>::kSharedBytes;
  float4* waiting;
  cudaMallocAsync(reinterpret_cast<void**>(&waiting),
                  sizeof(float) * blocks * kRows * kMatrixColumns, stream);
  cudaFuncSetAttribute(combine, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  combine<<<blocks, kThreads, kSharedBytes, stream>>>(factors, p, waiting, tiles);
  cudaFreeAsync(waiting, stream);
}

}  // namespace hopper

namespace portable {

constexpr int kThreads = 256;
constexpr int kRows = 128, kColumns = 64;  // of a block; 4 x 2 warps of 32 x 32
constexpr int kDepth = 32;                 // of a step
constexpr int kStages = 3;
constexpr int kLeftBytes = kRows * kDepth * 2;
constexpr int kStageBytes = kLeftBytes + kColumns * kDepth * 2;

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
/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// 32 x 32 entries of a warp: 16 x 8 blocks.
using Sums = float[2][4][4];

/// An operand of a product: rows of depth elements, or, transposed, depth rows of `rows` elements.
struct Side {
  const __nv_bfloat16* __restrict__ elements;
  int rows;
};

/// Where a 16-byte chunk lies in a tile whose rows have kChunks of them.
template <int kChunks>
__device__ unsigned offset_bytes(int row, int chunk) {
  const int mixed = kChunks == 4 ? row / 2 % 4 : row % 8;
  return static_cast<unsigned>(row * kChunks + (chunk ^ mixed)) * 16;
}

/// Copies rows first ... of a row-major matrix of `rows` x `columns`; zeros outside.
template <int kTileRows, int kTileColumns>
__device__ void fill(unsigned tile, const __nv_bfloat16* elements, int rows, int columns,
                     int first_row, int first_column) {
  constexpr int kChunks = kTileColumns / 8;
#pragma unroll
  for (int i = 0; i < kTileRows * kChunks / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int row = first_row + index / kChunks, column = first_column + index % kChunks * 8;
    const bool inside = row < rows && column < columns;
    copy_async(tile + offset_bytes<kChunks>(index / kChunks, index % kChunks),
               elements + (inside ? static_cast<long long>(row) * columns + column : 0), inside);
  }
}

/// This block's tile of left * right^T, or of left * right where right is transposed. Ends with a
/// barrier: shared memory is free again.
template <bool kTransposed>
__device__ void multiply(Sums& sums, unsigned shared, const Side& left, const Side& right,
                         int depth, int first_row, int first_column) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  const int steps = (depth + kDepth - 1) / kDepth;
  const auto load = [&](int step) {
    if (step < steps) {
      const unsigned stage = shared + step % kStages * kStageBytes;
      fill<kRows, kDepth>(stage, left.elements, left.rows, depth, first_row, step * kDepth);
      if constexpr (kTransposed)
        fill<kDepth, kColumns>(stage + kLeftBytes, right.elements, depth, right.rows, step * kDepth,
                               first_column);
      else
        fill<kColumns, kDepth>(stage + kLeftBytes, right.elements, right.rows, depth, first_column,
                               step * kDepth);
    }
    commit_copies();
  };
  for (auto& row : sums)
    for (auto& block : row)
      for (float& sum : block) sum = 0;
  for (int step = 0; step + 1 < kStages; ++step) load(step);
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    load(step + kStages - 1);
    const unsigned of_left = shared + step % kStages * kStageBytes, of_right = of_left + kLeftBytes;
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
      unsigned a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m)
        load_matrices(a[m], of_left + offset_bytes<kDepth / 8>(warp_row + m * 16 + lane % 16,
                                                               k * 2 + lane / 16));
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        unsigned b[4];
        if constexpr (kTransposed)
          load_matrices_transposed(
              b, of_right + offset_bytes<kColumns / 8>(k * 16 + lane % 16,
                                                       warp_column / 8 + c * 2 + lane / 16));
        else
          load_matrices(b, of_right + offset_bytes<kDepth / 8>(
                                          warp_column + c * 16 + lane / 16 * 8 + lane % 8,
                                          k * 2 + lane / 8 % 2));
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          multiply_add(sums[m][2 * c], a[m], b[0], b[1]);
          multiply_add(sums[m][2 * c + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
  wait_for_copies<0>();
  __syncthreads();
}

/// Calls use(row, column, sum) for this thread's entries inside rows x columns.
template <typename Use>
__device__ void for_entries(const Sums& sums, int first_row, int first_column, int rows,
                            int columns, Use use) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int c = 0; c < 4; ++c)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = first_row + warp / 2 * 32 + m * 16 + lane / 4 + e / 2 * 8;
        const int column = first_column + warp % 2 * 32 + c * 8 + lane % 4 * 2 + e % 2;
        if (row < rows && column < columns) use(row, column, sums[m][c][e]);
      }
}

__device__ unsigned shared_stages() {
  __shared__ __align__(128) unsigned char stages[kStages * kStageBytes];
  return static_cast<unsigned>(__cvta_generic_to_shared(stages));
}

__global__ void __launch_bounds__(kThreads, 2) first_layer(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  Sums sums;
  multiply<false>(sums, shared_stages(), Side{p.x, p.n}, Side{p.w1, p.h}, p.d, row, column);
  for_entries(sums, row, column, p.n, p.h, [&](int i, int u, float sum) {
    p.a1[static_cast<long long>(i) * p.h + u] = __float2bfloat16(fmaxf(sum + p.b1[u], 0.0f));
  });
}

__global__ void __launch_bounds__(kThreads, 2) second_layer(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  Sums sums;
  multiply<false>(sums, shared_stages(), Side{p.a1, p.n}, Side{p.w2, p.h}, p.h, row, column);
  for_entries(sums, row, column, p.n, p.h, [&](int i, int u, float sum) {
    const long long at = static_cast<long long>(i) * p.h + u;
    const float z = sum + p.b2[u];
    p.a2[at] = __float2bfloat16(fmaxf(z, 0.0f));
    p.d2[at] = z > 0 ? p.v[u] : __nv_bfloat16(0.0f);
  });
}

__global__ void __launch_bounds__(kThreads, 2) backward(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  Sums sums;
  multiply<true>(sums, shared_stages(), Side{p.d2, p.n}, Side{p.w2, p.h}, p.h, row, column);
  for_entries(sums, row, column, p.n, p.h, [&](int i, int u, float sum) {
    const long long at = static_cast<long long>(i) * p.h + u;
    p.d1[at] = __bfloat162float(p.a1[at]) > 0 ? __float2bfloat16(sum) : __nv_bfloat16(0.0f);
  });
}

/// total += (product of one tensor with itself) * (product of another + 1).
__device__ void add_layer(Sums& total, unsigned shared, const Problem& p,
                          const __nv_bfloat16* gradients, const __nv_bfloat16* activations,
                          int depth, int row, int column) {
  Sums of_gradients, of_activations;
  multiply<false>(of_gradients, shared, Side{gradients, p.n}, Side{gradients, p.n}, p.h, row,
                  column);
  multiply<false>(of_activations, shared, Side{activations, p.n}, Side{activations, p.n}, depth,
                  row, column);
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int c = 0; c < 4; ++c)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        total[m][c][e] += of_gradients[m][c][e] * (of_activations[m][c][e] + 1);
}

__global__ void __launch_bounds__(kThreads) combine(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  if (column + kColumns <= row) return;  // below the diagonal
  const unsigned shared = shared_stages();
  Sums total;
  multiply<false>(total, shared, Side{p.a2, p.n}, Side{p.a2, p.n}, p.h, row, column);
  add_layer(total, shared, p, p.d2, p.a1, p.h, row, column);
  add_layer(total, shared, p, p.d1, p.x, p.d, row, column);
  for_entries(total, row, column, p.n, p.n, [&](int i, int j, float sum) {
    if (j < i) return;
    p.k[static_cast<long long>(i) * p.n + j] = sum + 1;
    p.k[static_cast<long long>(j) * p.n + i] = sum + 1;
  });
}

void launch(const Problem& p, cudaStream_t stream) {
  const int rows = (p.n + kRows - 1) / kRows;
  const dim3 units((p.h + kColumns - 1) / kColumns, rows);
  first_layer<<<units, kThreads, 0, stream>>>(p);
  second_layer<<<units, kThreads, 0, stream>>>(p);
  backward<<<units, kThreads, 0, stream>>>(p);
  combine<<<dim3((p.n + kColumns - 1) / kColumns, rows), kThreads, 0, stream>>>(p);
}

}  // namespace portable

}  // namespace

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w1, const float* b1,
                      const __nv_bfloat16* w2, const float* b2, const __nv_bfloat16* w3, float* k,
                      int n, int d, int h, int outputs, cudaStream_t stream) {
  const size_t elements = static_cast<size_t>(n) * h;
  __nv_bfloat16* scratch;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(__nv_bfloat16) * (4 * elements + h),
                  stream);
  __nv_bfloat16* v = scratch + 4 * elements;
  const Problem p{x,
                  w1,
                  w2,
                  b1,
                  b2,
                  scratch,
                  scratch + elements,
                  scratch + 2 * elements,
                  scratch + 3 * elements,
                  v,
                  k,
                  n,
                  d,
                  h};
  sum_logits<<<(h + kUnits - 1) / kUnits, kUnits * kSlices, 0, stream>>>(w3, v, h, outputs);
  if (hopper::built())
    hopper::launch(p, stream);
  else
    portable::launch(p, stream);
  cudaFreeAsync(scratch, stream);
}
