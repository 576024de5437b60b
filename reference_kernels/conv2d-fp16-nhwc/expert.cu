// Specialist: two kernels for an implicit matrix product; the host takes the first where the device
// code was built with it and the stride is 1. Rows are pixels of y, columns are filters, and the
// long side runs over filter rows, filter columns and channels.
//
// Hopper (sm_90a): wgmma fed by the bulk copy engine. A block computes tiles of 128 pixels x 256
// filters, one after the other. Its first warpgroup has one thread that asks for the tiles of x and
// of w, 64 channels of one tap, four stages ahead; two more warpgroups multiply, 64 x 256 each, the
// sums in registers. A warpgroup's pixels are a box, for example 8 x 8 of an image or 4 x 4 of 4
// images, whichever shape wastes least: so a tap's inputs are a box of x, and the copy engine puts
// zeros outside of the image. A stage has two mbarriers: `full` counts the bytes that arrive,
// `empty` the warps that have read them. Two blocks of a cluster take the same filters: each loads
// half of them, which the copy engine writes into both. Bound by the tensor cores.
//
// Elsewhere: mma.sync. A block computes 128 pixels x 256 filters from a pipeline of 64-deep tiles
// in shared memory; the copies gather 16 bytes (eight channels of one pixel) at a time, with zeros
// outside of the image, and ldmatrix reads them. 8 warps compute 64 x 64 each.
//
// Both permute the 16-byte chunks of a tile row by the row number against bank conflicts, and need
// a number of channels that is a multiple of 8. Otherwise x and w are first copied into scratch
// with zeros behind the channels: next to the product that costs little.
#include <cuda.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kStages = 4;
constexpr int kTileABytes = kTileM * kTileK * 2, kTileBBytes = kTileK * kTileN * 2;
constexpr int kStageBytes = kTileABytes + kTileBBytes;

struct Problem {
  const __half* x;
  const __half* w;
  const __half* bias;
  __half* y;
  int images, height, width, channels;  // channels: a multiple of 8
  int filters, filter_height, filter_width, stride, pad;
  int out_height, out_width;
  int pixels;  // of y, all images
  int depth;   // filter_height * filter_width * channels
};

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

__device__ unsigned rounded_pair(float first, float second) {
  const __half2 pair = __floats2half2_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}

/// Zero beyond the last filter.
__device__ float bias_of(const Problem& p, int filter) {
  return filter < p.filters ? __half2float(p.bias[filter]) : 0.0f;
}

namespace hopper {

constexpr int kCluster = 2;    // blocks, each with its own rows of the cluster's tile
constexpr int kConsumers = 2;  // warpgroups that multiply
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kSpan = 64;            // elements in the 128 bytes that a swizzled row takes
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kSharedBytes = kStages * kStageBytes + kSwizzleBytes;
constexpr int kShareRows = kTileN / kCluster;  // filters that a block loads for both
constexpr int kBox = 64;                       // pixels of a warpgroup
constexpr int kBoxes = kCluster * kConsumers;  // that a cluster computes at a time
constexpr int kBoxBytes = kBox * kTileK * 2;
static_assert(kTileK == kSpan && kTileM == 64 * kConsumers);

/// The pixels of y are cut into boxes of `width` x `height` pixels in `images` images, 64 together.
struct Boxes {
  int width, height, images;
  int across, down, count;  // boxes beside one another, above one another, altogether
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/// First column, row and image of a box; images beyond the last where there is none.
__device__ int3 corner(const Boxes& boxes, int index) {
  return make_int3(index % boxes.across * boxes.width,
                   index / boxes.across % boxes.down * boxes.height,
                   index / (boxes.across * boxes.down) * boxes.images);
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

/// Copies channels of a box of pixels into shared memory, zeros for those outside of the image;
/// `full` counts the bytes.
__device__ void load_pixels(unsigned target, const CUtensorMap& map, unsigned full, int channel,
                            int column, int row, int image) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5, %6}], [%2];" ::"r"(target),
      "l"(&map), "r"(full), "r"(channel), "r"(column), "r"(row), "r"(image)
      : "memory");
}
/// Copies channels of one tap of some filters into all blocks of the cluster, at the same
/// addresses.
__device__ void load_filters(unsigned target, const CUtensorMap& map, unsigned full, int channel,
                             int tap, int filter) {
  constexpr uint16_t kAll = (1 << kCluster) - 1;
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(target),
      "l"(&map), "r"(full), "r"(channel), "r"(tap), "r"(filter), "h"(kAll)
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

/// Eight filters.
__device__ void store(const Problem& p, int pixel, int filter, const unsigned (&pairs)[4]) {
  if (pixel < 0 || filter >= p.filters) return;
  __half* target = p.y + static_cast<long long>(pixel) * p.filters + filter;
  if (p.filters % 8 == 0) {
    *reinterpret_cast<uint4*>(target) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (filter + i < p.filters)
      target[i] = __ushort_as_half(static_cast<unsigned short>(pairs[i / 2] >> i % 2 * 16));
}

/// Number of the pixel in y that a row of a warpgroup's box is; negative if there is none.
__device__ int pixel_of(const Problem& p, const Boxes& boxes, int3 first, int row) {
  const int q = first.x + row % boxes.width, r = first.y + row / boxes.width % boxes.height;
  const int image = first.z + row / (boxes.width * boxes.height);
  const bool inside = q < p.out_width && r < p.out_height && image < p.images;
  return inside ? (image * p.out_height + r) * p.out_width + q : -1;
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
    convolution(const __grid_constant__ CUtensorMap x_map,
                const __grid_constant__ CUtensorMap w_map, const Problem p, const Boxes boxes) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t full_barriers[kStages], empty_barriers[kStages];
  const unsigned base =
      (shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes;
  const auto full = [&](int stage) { return shared_address(&full_barriers[stage]); };
  const auto empty = [&](int stage) { return shared_address(&empty_barriers[stage]); };
  const int rank = block_of_cluster();
  const int parts = (p.channels + kTileK - 1) / kTileK;  // of the channels
  const int taps = p.filter_height * p.filter_width;
  const int filter_tiles = (p.filters + kTileN - 1) / kTileN;
  const int tiles = (boxes.count + kBoxes - 1) / kBoxes * filter_tiles;
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
      const int first_filter = tile % filter_tiles * kTileN + rank * kShareRows;
      const int first_box = tile / filter_tiles * kBoxes + rank * kConsumers;
      for (int tap = 0; tap < taps; ++tap)
        for (int part = 0; part < parts; ++part, turn.advance()) {
          const unsigned a_tile = base + turn.stage * kStageBytes, b_tile = a_tile + kTileABytes;
          wait(empty(turn.stage), turn.parity ^ 1);
          arrive_expecting(full(turn.stage), kStageBytes);
          for (int i = 0; i < kConsumers; ++i) {
            const int3 first = corner(boxes, first_box + i);
            load_pixels(a_tile + i * kBoxBytes, x_map, full(turn.stage), part * kTileK,
                        first.x + tap % p.filter_width - p.pad,
                        first.y + tap / p.filter_width - p.pad, first.z);
          }
          load_filters(b_tile + rank * kShareRows * kTileK * 2, w_map, full(turn.stage),
                       part * kTileK, tap, first_filter);
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
      for (int step = 0; step < taps * parts; ++step, turn.advance()) {
        const unsigned a_tile = base + turn.stage * kStageBytes, b_tile = a_tile + kTileABytes;
        wait(full(turn.stage), turn.parity);
        begin_products();
#pragma unroll
        for (int inner = 0; inner < kTileK; inner += 16)
          multiply(sums, operand(a_tile + consumer * kBoxBytes + inner * 2),
                   operand(b_tile + inner * 2), step > 0 || inner > 0);
        commit_products();
        wait_for_products<1>();  // of the step before
        if (step > 0) release(before);
        before = turn.stage;
      }
      wait_for_products<0>();
      settle(sums);
      release(before);
      const int first_filter = tile % filter_tiles * kTileN;
      const int3 first = corner(boxes, tile / filter_tiles * kBoxes + rank * kConsumers + consumer);
      const int row = threadIdx.x / 32 % 4 * 16 + lane / 4;
      const int pixels[2] = {pixel_of(p, boxes, first, row), pixel_of(p, boxes, first, row + 8)};
#pragma unroll
      for (int j = 0; j < kTileN / 8; j += 4) {
        unsigned pairs[2][4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int filter = first_filter + (j + i) * 8 + lane % 4 * 2;
          const float2 bias = make_float2(bias_of(p, filter), bias_of(p, filter + 1));
#pragma unroll
          for (int half = 0; half < 2; ++half)
            pairs[half][i] = rounded_pair(fmaxf(sums[j + i][2 * half] + bias.x, 0.0f),
                                          fmaxf(sums[j + i][2 * half + 1] + bias.y, 0.0f));
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          transpose(pairs[half]);
          store(p, pixels[half], first_filter + (j + lane % 4) * 8, pairs[half]);
        }
      }
    }
  }
#endif
}

/// The kernel above has no barriers where it was built without a body.
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, convolution) == cudaSuccess &&
         attributes.sharedSizeBytes >= 2 * kStages * sizeof(uint64_t);
}

/// For boxes of a row-major f16 tensor, innermost index first, of 64 elements of that; swizzled.
/// Zeros beyond its edges.
template <int kRank>
CUtensorMap tensor_map(const __half* tensor, const int (&sizes)[kRank], const int (&box)[kRank]) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  cuuint64_t sizes_of_map[kRank], strides_bytes[kRank];
  cuuint32_t box_of_map[kRank], steps[kRank];
  cuuint64_t stride = sizeof(__half);
  for (int i = 0; i < kRank; ++i) {
    sizes_of_map[i] = sizes[i];
    strides_bytes[i] = stride *= sizes[i];
    box_of_map[i] = box[i];
    steps[i] = 1;
  }
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, kRank, const_cast<__half*>(tensor), sizes_of_map,
      strides_bytes, box_of_map, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

/// The shape that takes the fewest boxes.
Boxes cut_into_boxes(const Problem& p) {
  const auto divided = [](int whole, int part) { return (whole + part - 1) / part; };
  Boxes best{};
  for (int width = 1; width <= kBox; width *= 2)
    for (int height = 1; width * height <= kBox; height *= 2) {
      Boxes boxes{width, height, kBox / (width * height)};
      boxes.across = divided(p.out_width, width);
      boxes.down = divided(p.out_height, height);
      boxes.count = boxes.across * boxes.down * divided(p.images, boxes.images);
      if (best.count == 0 || boxes.count < best.count) best = boxes;
    }
  return best;
}

void launch(const Problem& p, cudaStream_t stream) {
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const Boxes boxes = cut_into_boxes(p);
  const int tiles = ((boxes.count + kBoxes - 1) / kBoxes) * ((p.filters + kTileN - 1) / kTileN);
  const int clusters = tiles < multiprocessors / kCluster ? tiles : multiprocessors / kCluster;
  cudaFuncSetAttribute(convolution, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  convolution<<<clusters * kCluster, kThreads, kSharedBytes, stream>>>(
      tensor_map<4>(p.x, {p.channels, p.width, p.height, p.images},
                    {kSpan, boxes.width, boxes.height, boxes.images}),
      tensor_map<3>(p.w, {p.channels, p.filter_height * p.filter_width, p.filters},
                    {kSpan, 1, kShareRows}),
      p, boxes);
}

}  // namespace hopper

namespace portable {

constexpr int kThreads = 256;
constexpr int kWarpM = 64, kWarpN = 64;  // of y, per warp: 2 x 4 warps
constexpr int kChunk = 8;                // halves in 16 bytes
constexpr int kChunks = kTileK / kChunk;
constexpr int kSharedBytes = kStages * kStageBytes;
constexpr int kRowStep = kThreads / kChunks;  // rows between the chunks that a thread copies
constexpr int kRowsOfA = kTileM / kRowStep;   // chunks a thread copies of a tile
constexpr int kRowsOfB = kTileN / kRowStep;

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

/// Where a chunk of a tile lies, in bytes.
__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
}

/// The pixels of y whose inputs a thread gathers.
struct Gatherer {
  int row[kRowsOfA], column[kRowsOfA];  // of the filter's corner in the image; far outside: none
  long long image[kRowsOfA];            // first element of the image

  __device__ Gatherer(const Problem& p, int first_pixel) {
#pragma unroll
    for (int i = 0; i < kRowsOfA; ++i) {
      const int pixel = first_pixel + threadIdx.x / kChunks + i * kRowStep;
      const int in_image = pixel % (p.out_height * p.out_width);
      row[i] = in_image / p.out_width * p.stride - p.pad;
      column[i] = in_image % p.out_width * p.stride - p.pad;
      image[i] = static_cast<long long>(pixel / (p.out_height * p.out_width)) * p.height * p.width *
                 p.channels;
      if (pixel >= p.pixels) row[i] = -(1 << 28);
    }
  }

  __device__ void fill(const Problem& p, unsigned stage, int step, int first_filter) const {
    const int chunk = threadIdx.x % kChunks, tile_row = threadIdx.x / kChunks;
    const int k = step * kTileK + chunk * kChunk;
    const int tap = k / p.channels, channel = k % p.channels;
    const int down = tap / p.filter_width, right = tap % p.filter_width;
    const bool in_depth = k < p.depth;
#pragma unroll
    for (int i = 0; i < kRowsOfA; ++i) {
      const int r = row[i] + down, c = column[i] + right;
      const bool inside = in_depth && r >= 0 && r < p.height && c >= 0 && c < p.width;
      const long long source =
          image[i] + (static_cast<long long>(r) * p.width + c) * p.channels + channel;
      copy_async(stage + offset_bytes(tile_row + i * kRowStep, chunk), p.x + (inside ? source : 0),
                 inside);
    }
    const unsigned b_tile = stage + kTileABytes;
#pragma unroll
    for (int i = 0; i < kRowsOfB; ++i) {
      const int filter = first_filter + tile_row + i * kRowStep;
      const bool inside = in_depth && filter < p.filters;
      const long long source = static_cast<long long>(filter) * p.depth + k;
      copy_async(b_tile + offset_bytes(tile_row + i * kRowStep, chunk), p.w + (inside ? source : 0),
                 inside);
    }
  }
};

__device__ void store(const Problem& p, int pixel, int filter, float first, float second) {
  if (pixel >= p.pixels || filter >= p.filters) return;
  __half* target = p.y + static_cast<long long>(pixel) * p.filters + filter;
  first = fmaxf(first + bias_of(p, filter), 0.0f);
  second = fmaxf(second + bias_of(p, filter + 1), 0.0f);
  if (p.filters % 2 == 0) {
    *reinterpret_cast<__half2*>(target) = __floats2half2_rn(first, second);
  } else {
    target[0] = __float2half(first);
    if (filter + 1 < p.filters) target[1] = __float2half(second);
  }
}

__global__ void __launch_bounds__(kThreads) convolution(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const int filter_blocks = (p.filters + kTileN - 1) / kTileN;
  const int first_filter = blockIdx.x % filter_blocks * kTileN;
  const int first_pixel = blockIdx.x / filter_blocks * kTileM;
  const int steps = (p.depth + kTileK - 1) / kTileK;
  const Gatherer gatherer(p, first_pixel);

  float sums[kWarpM / 16][kWarpN / 8][4] = {};
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps) gatherer.fill(p, base + stage * kStageBytes, stage, first_filter);
    commit_copies();
  }

  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (const int next = step + kStages - 1; next < steps)
      gatherer.fill(p, base + next % kStages * kStageBytes, next, first_filter);
    commit_copies();

    const unsigned a_tile = base + step % kStages * kStageBytes;
    const unsigned b_tile = a_tile + kTileABytes;
#pragma unroll
    for (int inner = 0; inner < kTileK; inner += 16) {
      Fragment a[kWarpM / 16], b[kWarpN / 16];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        a[i] = load_matrices(
            a_tile + offset_bytes(warp_row + i * 16 + lane % 16, inner / kChunk + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)
        b[j] = load_matrices(
            b_tile + offset_bytes(warp_column + j * 16 + lane % 16, inner / kChunk + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2].registers[j % 2], b[j / 2].registers[j % 2 + 2]);
    }
  }

#pragma unroll
  for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpN / 8; ++j) {
      const int pixel = first_pixel + warp_row + i * 16 + lane / 4;
      const int filter = first_filter + warp_column + j * 8 + lane % 4 * 2;
      store(p, pixel, filter, sums[i][j][0], sums[i][j][1]);
      store(p, pixel + 8, filter, sums[i][j][2], sums[i][j][3]);
    }
}

void launch(const Problem& p, cudaStream_t stream) {
  const int tiles = ((p.pixels + kTileM - 1) / kTileM) * ((p.filters + kTileN - 1) / kTileN);
  cudaFuncSetAttribute(convolution, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  convolution<<<tiles, kThreads, kSharedBytes, stream>>>(p);
}

}  // namespace portable

/// Copies groups of `channels` halves to groups of `padded` halves, the rest zeros.
__global__ void pad_channels(const __half* __restrict__ source, __half* __restrict__ target,
                             long long groups, int channels, int padded) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < groups * padded; i += stride) {
    const int channel = static_cast<int>(i % padded);
    target[i] = channel < channels ? source[i / padded * channels + channel] : __ushort_as_half(0);
  }
}

const __half* with_padded_channels(const __half* source, long long groups, int channels, int padded,
                                   __half** scratch, cudaStream_t stream) {
  if (channels == padded) return source;
  cudaMallocAsync(reinterpret_cast<void**>(scratch), groups * padded * sizeof(__half), stream);
  pad_channels<<<264, 256, 0, stream>>>(source, *scratch, groups, channels, padded);
  return *scratch;
}

}  // namespace

extern "C" void solve(const __half* x, const __half* w, const __half* bias, __half* y, int images,
                      int height, int width, int channels, int filters, int filter_height,
                      int filter_width, int stride, int pad, cudaStream_t stream) {
  const int padded = (channels + 7) / 8 * 8;
  __half *x_scratch = nullptr, *w_scratch = nullptr;
  const long long taps = static_cast<long long>(filter_height) * filter_width;
  Problem p;
  p.x = with_padded_channels(x, static_cast<long long>(images) * height * width, channels, padded,
                             &x_scratch, stream);
  p.w = with_padded_channels(w, filters * taps, channels, padded, &w_scratch, stream);
  p.bias = bias;
  p.y = y;
  p.images = images;
  p.height = height;
  p.width = width;
  p.channels = padded;
  p.filters = filters;
  p.filter_height = filter_height;
  p.filter_width = filter_width;
  p.stride = stride;
  p.pad = pad;
  p.out_height = (height + 2 * pad - filter_height) / stride + 1;
  p.out_width = (width + 2 * pad - filter_width) / stride + 1;
  p.pixels = images * p.out_height * p.out_width;
  p.depth = static_cast<int>(taps) * padded;
  if (stride == 1 && hopper::built())
    hopper::launch(p, stream);
  else
    portable::launch(p, stream);
  if (x_scratch != nullptr) cudaFreeAsync(x_scratch, stream);
  if (w_scratch != nullptr) cudaFreeAsync(w_scratch, stream);
}
