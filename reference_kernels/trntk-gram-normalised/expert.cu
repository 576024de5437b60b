// Specialist: the long side is split into pieces of 16384 elements, so that all multiprocessors
// work although the matrix is small, and accumulators of tensor cores stay short. Only what lies on
// or above the diagonal is computed. A last kernel adds the pieces in f64 in a fixed order,
// normalises and writes both triangles.
//
// On Hopper (sm_90a), where the device code was built with that kernel, products are wgmma fed by
// the bulk copy engine. A block takes a piece of a band of 256 rows with itself, or of half a band
// with a later one, one after the other. One thread asks for tiles, 64 deep, four stages ahead; two
// warpgroups multiply. A band with itself needs one tile, which is both factors, and of its 4 x 4
// squares of 64 only 10, five for each warpgroup: of two that mirror one another it takes whichever
// stands beside another. A stage has two mbarriers: `full` counts the bytes that
// arrive, `empty` the warps that have read them. One band is bound by memory, several by the tensor
// cores.
//
// Elsewhere a block takes a piece of a tile of 128 x 128 with mma.sync. Blocks of a piece are
// neighbours and share its rows in the L2 cache: g is read from memory once. Tiles come through
// shared memory with cp.async, four deep.
//
// Both permute the 16-byte chunks of a tile row by the row number against bank conflicts. Copies of
// 16 bytes need rows that start at multiples of 8 elements; otherwise g is first copied into
// scratch with padded rows.
#include <cuda.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace {

constexpr int kTile = 128, kDepth = 64;
constexpr int kStages = 4;
constexpr int kPiece = 16384;
constexpr int kChunk = 8;  // halves in 16 bytes

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

struct Problem {
  const __half* g;
  float* partial;  // [pieces][tiles][kTile][kTile]
  float* out;
  int n, p;  // p: a multiple of 8
  int side;  // tiles along one side
  int tiles, pieces;
};

/// Row and column of the t-th tile on or above the diagonal, row by row.
__device__ int2 upper_tile(int t, int side) {
  int row = 0;
  while (t >= side - row) t -= side - row++;
  return make_int2(row, row + t);
}

/// Where the sum of a piece for entry (i, j) lies, j in the same tile as i or in a later one.
__device__ float* place_of(const Problem& p, int piece, int i, int j) {
  const int row = i / kTile, column = j / kTile;
  const int tile = row * p.side - row * (row - 1) / 2 + column - row;
  return p.partial + (static_cast<long long>(piece) * p.tiles + tile) * kTile * kTile +
         i % kTile * kTile + j % kTile;
}

namespace hopper {

constexpr int kBand = 256;     // rows
constexpr int kConsumers = 2;  // warpgroups that multiply
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kSpan = kDepth;                 // elements in the 128 bytes that a swizzled row takes
constexpr int kBlockBytes = 64 * kDepth * 2;  // of the 64 rows that one wgmma takes
constexpr int kStageBytes = 6 * kBlockBytes;  // a tile of 128 rows, a band
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kSharedBytes = kStages * kStageBytes + kSwizzleBytes;

/// A piece of the sums of a band with itself, or of half a band with a later one.
struct Work {
  int piece;
  int row;   // first of the half band; of the band, if that meets itself
  int band;  // first row of the band it meets
  bool diagonal;
  int steps;
};

__host__ __device__ int bands_of(const Problem& p) { return (p.n + kBand - 1) / kBand; }
__host__ __device__ int count_of_work(const Problem& p) {
  return p.pieces * bands_of(p) * bands_of(p);  // bands, and pairs of bands twice
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ int steps_of(const Problem& p, int piece) {
  return (min(kPiece, p.p - piece * kPiece) + kDepth - 1) / kDepth;
}
/// Bands with themselves, the longest work, first.
__device__ Work work_of(const Problem& p, int index) {
  const int bands = bands_of(p), halves = bands * (bands - 1);
  if (index < p.pieces * bands) {
    const int row = index % bands * kBand, piece = index / bands;
    return {piece, row, row, true, steps_of(p, piece)};
  }
  index -= p.pieces * bands;
  const int2 pair = upper_tile(index % halves / 2, bands - 1);
  const int row = pair.x * kBand + index % 2 * kTile, piece = index / halves;
  return {piece, row, (pair.y + 1) * kBand, false, steps_of(p, piece)};
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
__device__ void arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// Copies the box at (row, column) into shared memory; `full` counts its bytes.
__device__ void load(unsigned target, const CUtensorMap& map, unsigned full, int row, int column) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4}], [%2];" ::"r"(target),
      "l"(&map), "r"(full), "r"(column), "r"(row)
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
#define SUMS_8(j) \
  SUMS(j), SUMS(j + 1), SUMS(j + 2), SUMS(j + 3), SUMS(j + 4), SUMS(j + 5), SUMS(j + 6), SUMS(j + 7)

/// 64 rows of d, of 256, 128 or 64 columns, += 64 x 16 of a times 16 deep
/// columns of b. Of d, a thread holds columns 8 j + lane % 4 * 2 and the next, of row lane / 4 of
/// its warp's 16 rows, and of the 8th below.
__device__ __forceinline__ void multiply(float (&d)[32][4], uint64_t a, uint64_t b) {
  asm volatile(
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
      "}, %128, %129, 1, 1, 1, 0, 0;"
      : SUMS_8(0), SUMS_8(8), SUMS_8(16), SUMS_8(24)
      : "l"(a), "l"(b));
}
__device__ __forceinline__ void multiply(float (&d)[16][4], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, 1, 1, 1, 0, 0;"
      : SUMS_8(0), SUMS_8(8)
      : "l"(a), "l"(b));
}
__device__ __forceinline__ void multiply(float (&d)[8][4], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, %32, %33, 1, 1, 1, 0, 0;"
      : SUMS_8(0)
      : "l"(a), "l"(b));
}
#undef SUMS_8
#undef SUMS

/// A place in the ring of stages and the parity of its current round.
struct Turn {
  int stage = 0, parity = 0;
  __device__ void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

/// What a thread of the warpgroups that multiply needs to know.
struct Consumer {
  const Problem& p;
  unsigned base, full, empty;  // stages, and a barrier of 8 bytes a stage
  Turn turn;

  __device__ void release(int stage) const {
    if (threadIdx.x % 32 == 0) arrive(empty + 8 * stage);
  }

  /// Below the diagonal an entry stands for its mirror image.
  template <int kCount>
  __device__ void store(const float (&sums)[kCount][4], int piece, int row, int column) const {
    const int lane = threadIdx.x % 32;
    const bool mirrored = column < row;
    row += threadIdx.x / 32 % 4 * 16 + lane / 4;
    column += lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < kCount; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int r = row + 8 * half, c = column + 8 * j;
        if (r >= p.side * kTile || c >= p.side * kTile) continue;
        if (mirrored) {
          *place_of(p, piece, c, r) = sums[j][2 * half];
          *place_of(p, piece, c + 1, r) = sums[j][2 * half + 1];
        } else {
          *reinterpret_cast<float2*>(place_of(p, piece, r, c)) =
              make_float2(sums[j][2 * half], sums[j][2 * half + 1]);
        }
      }
  }

  /// A band with itself, of whose squares of 64 (row, column) a warpgroup takes (0, 0), (0, 1), (1,
  /// 1), (1, 2) and (0, 2), the other (2, 2), (2, 3), (3, 0), (3, 1) and (3, 3).
  __device__ __forceinline__ void meet_itself(const Work& work, int warpgroup) {
    const int first_row = warpgroup == 0 ? 0 : 2, second_row = first_row + 1;
    const int second_column = warpgroup == 0 ? 1 : 0;
    const int third_row = warpgroup == 0 ? 0 : 3, third_column = warpgroup == 0 ? 2 : 3;
    float first[16][4] = {}, second[16][4] = {}, third[8][4] = {};
    int before = 0;
    for (int step = 0; step < work.steps; ++step, turn.advance()) {
      const unsigned band = base + turn.stage * kStageBytes + 2 * kBlockBytes;
      const auto block = [&](int number, int inner) {
        return operand(band + number * kBlockBytes + inner * 2);
      };
      wait(full + 8 * turn.stage, turn.parity);
      begin_products();
#pragma unroll
      for (int inner = 0; inner < kDepth; inner += 16) {
        multiply(first, block(first_row, inner), block(first_row, inner));
        multiply(second, block(second_row, inner), block(second_column, inner));
        multiply(third, block(third_row, inner), block(third_column, inner));
      }
      commit_products();
      wait_for_products<1>();  // of the step before
      if (step > 0) release(before);
      before = turn.stage;
    }
    wait_for_products<0>();
    settle(first);
    settle(second);
    settle(third);
    release(before);
    store(first, work.piece, work.row + first_row * 64, work.row + first_row * 64);
    store(second, work.piece, work.row + second_row * 64, work.row + second_column * 64);
    store(third, work.piece, work.row + third_row * 64, work.row + third_column * 64);
  }

  /// Half a band with another band; `block` of its two row blocks.
  __device__ __forceinline__ void meet_other(const Work& work, int block) {
    float sums[kBand / 8][4] = {};
    int before = 0;
    for (int step = 0; step < work.steps; ++step, turn.advance()) {
      const unsigned half = base + turn.stage * kStageBytes, band = half + 2 * kBlockBytes;
      wait(full + 8 * turn.stage, turn.parity);
      begin_products();
#pragma unroll
      for (int inner = 0; inner < kDepth; inner += 16)
        multiply(sums, operand(half + block * kBlockBytes + inner * 2), operand(band + inner * 2));
      commit_products();
      wait_for_products<1>();  // of the step before
      if (step > 0) release(before);
      before = turn.stage;
    }
    wait_for_products<0>();
    settle(sums);
    release(before);
    store(sums, work.piece, work.row + block * 64, work.band);
  }
};

#endif

__global__ void __launch_bounds__(kThreads, 1)
    multiply_bands(const __grid_constant__ CUtensorMap map, const Problem p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t full_barriers[kStages], empty_barriers[kStages];
  const unsigned base =
      (shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes;
  const unsigned full = shared_address(full_barriers), empty = shared_address(empty_barriers);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      create_barrier(full + 8 * stage, 1);
      create_barrier(empty + 8 * stage, kConsumers * 4);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  const int count = count_of_work(p);

  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x != 0) return;
    Turn turn;
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
      const Work work = work_of(p, index);
      for (int step = 0; step < work.steps; ++step, turn.advance()) {
        const unsigned half = base + turn.stage * kStageBytes, band = half + 2 * kBlockBytes;
        const unsigned arrived = full + 8 * turn.stage;
        const int start = work.piece * kPiece + step * kDepth;
        wait(empty + 8 * turn.stage, turn.parity ^ 1);
        arrive_expecting(arrived, (work.diagonal ? 4 : 6) * kBlockBytes);
        if (!work.diagonal) load(half, map, arrived, work.row, start);
        load(band, map, arrived, work.band, start);
        load(band + 2 * kBlockBytes, map, arrived, work.band + kTile, start);
      }
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    Consumer consumer{p, base, full, empty};
    const int warpgroup = threadIdx.x / 128 - 1;
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
      const Work work = work_of(p, index);
      if (work.diagonal)
        consumer.meet_itself(work, warpgroup);
      else
        consumer.meet_other(work, warpgroup);
    }
  }
#endif
}

/// The kernel above has no barriers where it was built without a body.
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, multiply_bands) == cudaSuccess &&
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

void launch(const Problem& p, cudaStream_t stream) {
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  cudaFuncSetAttribute(multiply_bands, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  multiply_bands<<<min(count_of_work(p), multiprocessors), kThreads, kSharedBytes, stream>>>(
      tensor_map(p.g, p.n, p.p, kTile), p);
}

}  // namespace hopper

namespace portable {

constexpr int kThreads = 256;
constexpr int kWarpRows = 64, kWarpColumns = 32;  // of a warp: 2 x 4 warps
constexpr int kChunks = kDepth / kChunk;
constexpr int kTileBytes = kTile * kDepth * 2;
constexpr int kStageBytes = 2 * kTileBytes;
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

/// Rows of g from `first` on, elements from `start` on.
__device__ void fill_tile(const Problem& p, unsigned tile, int first, int start, int end) {
#pragma unroll
  for (int i = 0; i < kTile * kChunks / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int row = index / kChunks, chunk = index % kChunks;
    const int k = start + chunk * kChunk;
    const bool inside = first + row < p.n && k < end;
    const long long at = inside ? static_cast<long long>(first + row) * p.p + k : 0;
    copy_async(tile + offset_bytes(row, chunk), p.g + at, inside);
  }
}

__global__ void __launch_bounds__(kThreads) multiply(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 4 * kWarpRows, warp_column = warp % 4 * kWarpColumns;
  const int piece = blockIdx.x / p.tiles, tile = blockIdx.x % p.tiles;
  const int2 at = upper_tile(tile, p.side);
  const int begin = piece * kPiece, end = min(begin + kPiece, p.p);
  const int steps = (end - begin + kDepth - 1) / kDepth;
  const auto fill = [&](int step) {
    const unsigned stage = base + step % kStages * kStageBytes;
    fill_tile(p, stage, at.x * kTile, begin + step * kDepth, end);
    fill_tile(p, stage + kTileBytes, at.y * kTile, begin + step * kDepth, end);
  };

  float sums[kWarpRows / 16][kWarpColumns / 8][4] = {};
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fill(step);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (step + kStages - 1 < steps) fill(step + kStages - 1);
    commit_copies();
    const unsigned a_tile = base + step % kStages * kStageBytes, b_tile = a_tile + kTileBytes;
#pragma unroll
    for (int chunk = 0; chunk < kChunks; chunk += 2) {
      Fragment a[kWarpRows / 16], b[kWarpColumns / 16];
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i)
        a[i] =
            load_matrices(a_tile + offset_bytes(warp_row + i * 16 + lane % 16, chunk + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpColumns / 16; ++j)
        b[j] = load_matrices(b_tile +
                             offset_bytes(warp_column + j * 16 + lane % 16, chunk + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpColumns / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2].registers[j % 2], b[j / 2].registers[j % 2 + 2]);
    }
  }

  float* to = p.partial + static_cast<long long>(blockIdx.x) * kTile * kTile;
#pragma unroll
  for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpColumns / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = warp_row + i * 16 + lane / 4 + 8 * half;
        const int column = warp_column + j * 8 + lane % 4 * 2;
        *reinterpret_cast<float2*>(to + row * kTile + column) =
            make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
}

void launch(const Problem& p, cudaStream_t stream) {
  cudaFuncSetAttribute(multiply, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  multiply<<<p.pieces * p.tiles, kThreads, kSharedBytes, stream>>>(p);
}

}  // namespace portable

constexpr int kThreads = 256;

/// Sum of the pieces of entry (i, j), j in the same tile as i or in a later one.
__device__ double total(const Problem& p, int i, int j) {
  double sum = 0;
  for (int piece = 0; piece < p.pieces; ++piece) sum += *place_of(p, piece, i, j);
  return sum;
}

__global__ void __launch_bounds__(kThreads) add_squares(const Problem p, double* squares) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < p.n) squares[i] = total(p, i, i);
}

__global__ void __launch_bounds__(kThreads) normalise(const Problem p, const double* squares) {
  const int j = blockIdx.x * kThreads + threadIdx.x, i = blockIdx.y;
  if (j >= p.n || j < i) return;
  const double scale = squares[i] * squares[j];
  const float cosine = scale > 0 ? static_cast<float>(total(p, i, j) / sqrt(scale)) : 0.0f;
  p.out[static_cast<long long>(i) * p.n + j] = cosine;
  p.out[static_cast<long long>(j) * p.n + i] = cosine;
}

__global__ void pad_rows(const __half* __restrict__ from, __half* __restrict__ to, int n, int p,
                         int padded) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < static_cast<long long>(n) * padded; i += stride)
    to[i] = i % padded < p ? from[i / padded * p + i % padded] : __ushort_as_half(0);
}

template <typename Element>
Element* allocate(size_t count, cudaStream_t stream) {
  void* memory = nullptr;
  cudaMallocAsync(&memory, count * sizeof(Element), stream);
  return static_cast<Element*>(memory);
}

}  // namespace

extern "C" void solve(const __half* g, float* out, int n, int p, cudaStream_t stream) {
  const int padded = (p + kChunk - 1) / kChunk * kChunk;
  __half* scratch = nullptr;
  if (padded != p) {
    scratch = allocate<__half>(static_cast<size_t>(n) * padded, stream);
    pad_rows<<<1056, 256, 0, stream>>>(g, scratch, n, p, padded);
  }
  Problem problem{scratch != nullptr ? scratch : g, nullptr, out, n, padded, 0, 0, 0};
  problem.side = (n + kTile - 1) / kTile;
  problem.tiles = problem.side * (problem.side + 1) / 2;
  problem.pieces = (padded + kPiece - 1) / kPiece;
  problem.partial =
      allocate<float>(static_cast<size_t>(problem.pieces) * problem.tiles * kTile * kTile, stream);
  double* squares = allocate<double>(n, stream);
  if (hopper::built())
    hopper::launch(problem, stream);
  else
    portable::launch(problem, stream);
  const int columns = (n + kThreads - 1) / kThreads;
  add_squares<<<columns, kThreads, 0, stream>>>(problem, squares);
  normalise<<<dim3(columns, n), kThreads, 0, stream>>>(problem, squares);
  cudaFreeAsync(squares, stream);
  cudaFreeAsync(problem.partial, stream);
  if (scratch != nullptr) cudaFreeAsync(scratch, stream);
}
