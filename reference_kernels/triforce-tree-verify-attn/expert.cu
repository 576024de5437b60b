// Specialist: a first kernel turns parents into a bit mask of ancestors a node. A block has some
// nodes of a head and a share of the keys: the prefix, unmasked, then the nodes, masked. Scores
// stay in registers, relative to a running maximum, and become the left operand of the second
// product. Keys are cut into as many shares as fill the machine; a last kernel merges them.
//
// On Hopper (sm_90a), where the device code was built with that kernel, products are wgmma fed by
// the bulk copy engine. A block has 64 nodes for each of two warpgroups that compute, and one
// thread that asks for tiles of 128 keys and of 128 values, two stages each; mbarriers count the
// bytes that arrive and the warps that have read them. The products of the next tile's scores and
// of this tile's weights with the values are under way while the weights of the next tile are
// computed, and warpgroups take turns in starting products, so that one's exponentials run below
// another's products. Bound by memory with 128 nodes, by the tensor cores with more.
//
// Elsewhere 64 nodes a block, 16 a warp, with mma.sync; tiles of 64 arrive by cp.async, one ahead.
#include <cuda.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace {

constexpr float kLog2e = 1.4426950408889634f;

__device__ unsigned rounded_pair(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
__device__ float base_of(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

struct Problem {
  const __half* __restrict__ q;
  const __half* __restrict__ k;
  const __half* __restrict__ v;
  const unsigned* __restrict__ ancestors;  // [nodes][words]: a bit for each node on the way to a
                                           // root
  __half* __restrict__ o;
  int length, nodes, heads, dim, words;
  float* sums;      // [heads][splits][queries][dim], relative to the split's maximum
  float2* moments;  // [heads][splits][queries]: maximum, in exponents of 2, and sum of weights
  int splits, tiles_of_split;
};

/// Whether a node may see a key: of the prefix, or an ancestor.
__device__ bool allowed(const Problem& p, int query, int key) {
  if (key < p.length) return true;
  const int node = key - p.length;
  return node <= query && query < p.nodes &&
         p.ancestors[query * p.words + node / 32] >> (node % 32) & 1;
}

namespace hopper {

constexpr int kKeys = 128;
constexpr int kSpan = 64;            // elements in the 128 bytes that a swizzled row takes
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kKeySpanBytes = kKeys * kSpan * 2;

constexpr int kConsumers = 2;  // warpgroups that compute
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kQueries = 64 * kConsumers;
constexpr int kQuerySpanBytes = kQueries * kSpan * 2;
constexpr int kStages = 2;

template <int kDim>
struct Shape {
  static constexpr int kQueryBytes = kQueries * kDim * 2;
  static constexpr int kTileBytes = kKeys * kDim * 2;  // of keys, or of values
  static constexpr int kSharedBytes = kQueryBytes + 2 * kStages * kTileBytes + kSwizzleBytes;
};

/// Keys that a block's queries may see.
__device__ int keys_of_block(const Problem& p, int first_query) {
  return p.length + min(first_query + kQueries, p.nodes);
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
__device__ void arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ void arrive_expecting(unsigned barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

/// Copies the box at (row, head, column) into shared memory; `full` counts its bytes.
__device__ void load(unsigned target, const CUtensorMap& map, unsigned full, int row, int head,
                     int column) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5}], [%2];" ::"r"(target),
      "l"(&map), "r"(full), "r"(column), "r"(head), "r"(row)
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
template <int kCount>
__device__ __forceinline__ void settle(unsigned (&a)[kCount][4]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    asm volatile("" : "+r"(a[i][0]), "+r"(a[i][1]), "+r"(a[i][2]), "+r"(a[i][3])::"memory");
}

#define SUMS(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define SUMS_8(j) \
  SUMS(j), SUMS(j + 1), SUMS(j + 2), SUMS(j + 3), SUMS(j + 4), SUMS(j + 5), SUMS(j + 6), SUMS(j + 7)

/// 64 x 128 of d = 64 x 16 of a times 16 x 128 of b, both in shared memory, plus d if `add`. Of d,
/// a thread holds columns 8 j + lane % 4 * 2 and the next, of row lane / 4 of its warp's 16 rows,
/// and of the 8th below.
__device__ __forceinline__ void multiply(float (&d)[16][4], uint64_t a, uint64_t b, bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, add, 1, 1, 0, 0;\n"
      "}"
      : SUMS_8(0), SUMS_8(8)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}
/// The same with `a` in registers, as d holds 16 columns, and b transposed.
__device__ __forceinline__ void multiply(float (&d)[16][4], const unsigned (&a)[4], uint64_t b,
                                         bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %69, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, {%64, %65, %66, %67}, %68, add, 1, 1, 1;\n"
      "}"
      : SUMS_8(0), SUMS_8(8)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}
/// The same with 64 columns.
__device__ __forceinline__ void multiply(float (&d)[8][4], const unsigned (&a)[4], uint64_t b,
                                         bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %37, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, {%32, %33, %34, %35}, %36, add, 1, 1, 1;\n"
      "}"
      : SUMS_8(0)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}
#undef SUMS_8
#undef SUMS

__device__ float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// A place in the ring of stages and the parity of its current round.
struct Turn {
  int stage = 0, parity = 0;
  __device__ void advance() {
    stage ^= 1;
    parity ^= stage == 0;
  }
};
static_assert(kStages == 2);

/// Where the block's tiles lie in shared memory, and the barriers of each stage.
template <int kDim>
struct Memory {
  unsigned tiles;     // queries, then stages of keys, then stages of values
  unsigned barriers;  // 8 bytes each
  static constexpr int kBarriers = 1 + 4 * kStages;

  __device__ unsigned queries() const { return tiles; }
  __device__ unsigned keys(int stage) const {
    return tiles + Shape<kDim>::kQueryBytes + stage * Shape<kDim>::kTileBytes;
  }
  __device__ unsigned values(int stage) const { return keys(kStages + stage); }
  __device__ unsigned queries_full() const { return barriers; }
  __device__ unsigned keys_full(int stage) const { return barriers + 8 * (1 + stage); }
  __device__ unsigned values_full(int stage) const { return keys_full(kStages + stage); }
  __device__ unsigned keys_empty(int stage) const { return keys_full(2 * kStages + stage); }
  __device__ unsigned values_empty(int stage) const { return keys_full(3 * kStages + stage); }
};

/// Warpgroups start their products one after the other: named barrier 1 + i lets warpgroup i start.
__device__ void wait_for_turn(int consumer) {
  asm volatile("bar.sync %0, 256;" ::"r"(1 + consumer) : "memory");
}
__device__ void give_turn(int consumer) {
  asm volatile("bar.arrive %0, 256;" ::"r"(1 + (consumer + 1) % kConsumers) : "memory");
}

/// What a thread of a warpgroup computes: parts of two rows, 8 apart.
template <int kDim>
struct Rows {
  float scores[kKeys / 8][4];
  unsigned weights[kKeys / 16][4];  // of the keys, rounded: a left operand
  float sums[kDim / 8][4];
  float largest[2] = {-INFINITY, -INFINITY}, totals[2] = {0, 0}, shrink[2];

  __device__ __forceinline__ void start_scores(unsigned queries, unsigned keys) {
    settle(scores);
    begin_products();
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      const int span = i / 4, inner_bytes = i % 4 * 32;
      multiply(scores, operand(queries + span * kQuerySpanBytes + inner_bytes, 0),
               operand(keys + span * kKeySpanBytes + inner_bytes, 0), i > 0);
    }
    commit_products();
  }

  __device__ __forceinline__ void start_sums(unsigned values, bool add) {
    settle(sums);
    settle(weights);
    begin_products();
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i)
      multiply(sums, weights[i], operand(values + i * 16 * kSpan * 2, kKeySpanBytes), add || i > 0);
    commit_products();
  }

  __device__ __forceinline__ void mask(const Problem& p, int end, int first_key, int query) {
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = first_key + n * 8 + threadIdx.x % 4 * 2 + e % 2;
        if (key >= end || !allowed(p, query + e / 2 * 8, key)) scores[n][e] = -INFINITY;
      }
  }

  /// Turns scores into weights relative to the running maximum, which they may raise.
  __device__ __forceinline__ void weigh() {
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float now = largest[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
        now = fmaxf(now, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 1));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 2));
      const float base = now == -INFINITY ? 0.0f : now * scale;
      shrink[half] = power_of_2(largest[half] * scale - base);
      largest[half] = now;
      totals[half] *= shrink[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          scores[n][e] = power_of_2(scores[n][e] * scale - base);
          totals[half] += scores[n][e];  // of this thread's keys; added up at the end
        }
    }
  }

  __device__ __forceinline__ void round_weights() {
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      weights[n / 2][n % 2 * 2] = rounded_pair(scores[n][0], scores[n][1]);
      weights[n / 2][n % 2 * 2 + 1] = rounded_pair(scores[n][2], scores[n][3]);
    }
  }

  __device__ __forceinline__ void shrink_sums() {
#pragma unroll
    for (int d = 0; d < kDim / 8; ++d)
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[d][e] *= shrink[e / 2];
  }

  /// Sums relative to the split's maximum, and that maximum with the sum of weights.
  __device__ void store(const Problem& p, int head, int query) {
    const int lane = threadIdx.x % 32;
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      totals[half] += __shfl_xor_sync(~0u, totals[half], 1);
      totals[half] += __shfl_xor_sync(~0u, totals[half], 2);
      if (query + half * 8 >= p.nodes) continue;
      const long long row =
          (static_cast<long long>(head) * p.splits + blockIdx.y) * p.nodes + query + half * 8;
      if (lane % 4 == 0) p.moments[row] = make_float2(largest[half] * scale, totals[half]);
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<float2*>(p.sums + row * kDim + d * 8 + lane % 4 * 2) =
            make_float2(sums[d][2 * half], sums[d][2 * half + 1]);
    }
  }
};

/// Asks for the block's queries, then for the keys and values of its tiles.
template <int kDim>
__device__ void produce(const Memory<kDim>& memory, const CUtensorMap& q_map,
                        const CUtensorMap& k_map, const CUtensorMap& v_map, int head, int first,
                        int begin, int end) {
  arrive_expecting(memory.queries_full(), Shape<kDim>::kQueryBytes);
  for (int span = 0; span < kDim / kSpan; ++span)
    load(memory.queries() + span * kQuerySpanBytes, q_map, memory.queries_full(), first, head,
         span * kSpan);
  const auto load_tile = [&](unsigned target, const CUtensorMap& map, unsigned full, int tile) {
    arrive_expecting(full, Shape<kDim>::kTileBytes);
    for (int span = 0; span < kDim / kSpan; ++span)
      load(target + span * kKeySpanBytes, map, full, tile * kKeys, head, span * kSpan);
  };
  Turn turn;
  for (int tile = begin; tile < end; ++tile, turn.advance()) {
    wait(memory.keys_empty(turn.stage), turn.parity ^ 1);
    load_tile(memory.keys(turn.stage), k_map, memory.keys_full(turn.stage), tile);
    wait(memory.values_empty(turn.stage), turn.parity ^ 1);
    load_tile(memory.values(turn.stage), v_map, memory.values_full(turn.stage), tile);
  }
}

/// `keys_end`: the keys that the block's queries may see.
template <int kDim>
__device__ __forceinline__ void consume(const Memory<kDim>& memory, const Problem& p, int head,
                                        int first, int begin, int end, int keys_end) {
  const int consumer = threadIdx.x / 128 - 1, lane = threadIdx.x % 32;
  const int query = first + consumer * 64 + threadIdx.x / 32 % 4 * 16 + lane / 4;
  const unsigned queries = memory.queries() + consumer * 64 * kSpan * 2;
  const auto release = [&](unsigned barrier) {
    if (lane == 0) arrive(barrier);
  };
  const auto mask = [&](Rows<kDim>& rows, int tile) {
    if ((tile + 1) * kKeys > p.length) rows.mask(p, keys_end, tile * kKeys, query);
  };

  Rows<kDim> rows;
  Turn keys, values;
  if (consumer == kConsumers - 1) give_turn(consumer);
  wait(memory.queries_full(), 0);
  wait(memory.keys_full(keys.stage), keys.parity);
  rows.start_scores(queries, memory.keys(keys.stage));
  wait_for_products<0>();
  settle(rows.scores);
  release(memory.keys_empty(keys.stage));
  keys.advance();
  mask(rows, begin);
  rows.weigh();
  rows.round_weights();
  if (begin + 1 < end) wait(memory.keys_full(keys.stage), keys.parity);
  for (int tile = begin + 1; tile < end; ++tile) {
    wait_for_turn(consumer);
    rows.start_scores(queries, memory.keys(keys.stage));
    wait(memory.values_full(values.stage), values.parity);
    rows.start_sums(memory.values(values.stage), tile > begin + 1);
    give_turn(consumer);
    wait_for_products<1>();  // for the scores
    settle(rows.scores);
    release(memory.keys_empty(keys.stage));
    keys.advance();
    mask(rows, tile);
    rows.weigh();
    settle(rows.scores);
    // Here, so that there is a branch between the weights and the wait for the sums: the assembler
    // would put that wait first, and all of the above behind it.
    if (tile + 1 < end) wait(memory.keys_full(keys.stage), keys.parity);
    wait_for_products<0>();  // for the sums
    settle(rows.sums);
    settle(rows.weights);
    release(memory.values_empty(values.stage));
    values.advance();
    rows.shrink_sums();
    rows.round_weights();
  }
  wait(memory.values_full(values.stage), values.parity);
  rows.start_sums(memory.values(values.stage), begin + 1 < end);
  wait_for_products<0>();
  settle(rows.sums);
  rows.store(p, head, query);
}

#endif

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1)
    attend(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
           const __grid_constant__ CUtensorMap v_map, const Problem p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t barriers[Memory<kDim>::kBarriers];
  const Memory<kDim> memory{
      (shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes,
      shared_address(barriers)};
  const int first = blockIdx.x * kQueries, head = blockIdx.z;
  const int keys_end = keys_of_block(p, first), tiles = (keys_end + kKeys - 1) / kKeys;
  const int begin = blockIdx.y * p.tiles_of_split, end = min(begin + p.tiles_of_split, tiles);
  if (threadIdx.x == 0) {
    create_barrier(memory.queries_full(), 1);
    for (int stage = 0; stage < kStages; ++stage) {
      create_barrier(memory.keys_full(stage), 1);
      create_barrier(memory.values_full(stage), 1);
      create_barrier(memory.keys_empty(stage), kConsumers * 4);
      create_barrier(memory.values_empty(stage), kConsumers * 4);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 0) produce<kDim>(memory, q_map, k_map, v_map, head, first, begin, end);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    consume<kDim>(memory, p, head, first, begin, end, keys_end);
  }
#endif
}

/// The kernel above has no barriers where it was built without a body.
template <int kDim>
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, attend<kDim>) == cudaSuccess &&
         attributes.sharedSizeBytes > 0;
}

/// For boxes of `box_rows` rows of 64 elements of one head, swizzled; zeros beyond the last row.
CUtensorMap tensor_map(const __half* tensor, int rows, int heads, int dim, unsigned box_rows) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  const cuuint64_t head_bytes = static_cast<cuuint64_t>(dim) * sizeof(__half);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(dim), static_cast<cuuint64_t>(heads),
                              static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides_bytes[] = {head_bytes, head_bytes * heads};
  const cuuint32_t box[] = {kSpan, 1, box_rows}, steps[] = {1, 1, 1};
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 3, const_cast<__half*>(tensor), sizes, strides_bytes,
      box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

/// As few splits as keep nearly all multiprocessors busy, one block each, until the end; all blocks
/// have tiles in all splits.
void split(Problem& p) {
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const auto divided = [](int whole, int part) { return (whole + part - 1) / part; };
  const int blocks = divided(p.nodes, kQueries) * p.heads;
  const int tiles = divided(p.length + p.nodes, kKeys);
  const int tiles_of_first = divided(p.length + min(p.nodes, kQueries), kKeys);
  double best = 0;
  for (int splits = 1; splits <= tiles && splits <= 128; ++splits) {
    const int work = divided(tiles, splits);
    if (divided(tiles, work) != splits || (splits - 1) * work >= tiles_of_first) continue;
    const double rounds = divided(blocks * splits, multiprocessors);
    // a split costs about half a tile more, for its start and its merging
    const double busy =
        static_cast<double>(blocks) * tiles / (rounds * multiprocessors * (work + 0.5));
    if (busy > best * 1.02) {
      best = busy;
      p.splits = splits;
      p.tiles_of_split = work;
    }
  }
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  using S = Shape<kDim>;
  const int keys = p.length + p.nodes;
  cudaFuncSetAttribute(attend<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes);
  const dim3 grid((p.nodes + kQueries - 1) / kQueries, p.splits, p.heads);
  attend<kDim><<<grid, kThreads, S::kSharedBytes, stream>>>(
      tensor_map(p.q, p.nodes, p.heads, kDim, kQueries),
      tensor_map(p.k, keys, p.heads, kDim, kKeys), tensor_map(p.v, keys, p.heads, kDim, kKeys), p);
}

}  // namespace hopper

namespace portable {

using Element = __half;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;
constexpr int kTokens = 64;  // keys of a tile

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
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/// The prefix, then the nodes up to the last query of the block.
struct Keys {
  const Problem& p;
  int head, end;

  __device__ Keys(const Problem& problem, int of_head, int first_query)
      : p(problem),
        head(of_head),
        end(problem.length + min(first_query + kQueries, problem.nodes)) {}
  __device__ int queries() const { return p.nodes; }
  __device__ int count() const { return end; }
  __device__ const Element* query(int i) const {
    return p.q + (static_cast<long long>(i) * p.heads + head) * p.dim;
  }
  __device__ const Element* keys_of(int) const { return p.k; }
  __device__ const Element* values_of(int) const { return p.v; }
  /// First element of a key and value, -1 where there is none.
  __device__ long long row(int j) const {
    return j < end ? (static_cast<long long>(j) * p.heads + head) * p.dim : -1;
  }
  __device__ bool masked(int, int j) const { return j + kTokens > p.length; }
};

template <int kDim>
struct Tile {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kBytes = kTokens * kDim * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  /// Keys and values of a tile, zeros where there is no key.
  static __device__ void fill(unsigned base, const Keys& keys, int first) {
#pragma unroll
    for (int i = 0; i < kTokens * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const long long at = keys.row(first + row);
      const Element* key = at < 0 ? keys.p.q : keys.keys_of(first + row) + at + chunk * 8;
      const Element* value = at < 0 ? keys.p.q : keys.values_of(first + row) + at + chunk * 8;
      copy_async(base + offset_bytes(row, chunk), key, at >= 0);
      copy_async(base + kBytes + offset_bytes(row, chunk), value, at >= 0);
    }
  }
};

/// Rows lane / 4 and lane / 4 + 8 of a warp's 16 queries.
template <int kDim>
struct Rows {
  unsigned queries[kDim / 16][4];
  float sums[kDim / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, weights[2] = {0, 0};

  __device__ void load_queries(const Keys& keys, int first) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int row = first + lane / 4 + part % 2 * 8;
        const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
        queries[i][part] =
            row < keys.queries() ? *reinterpret_cast<const unsigned*>(keys.query(row) + column) : 0;
      }
  }

  __device__ void add(const Keys& keys, unsigned tile, int first_query, int first_key) {
    const int lane = threadIdx.x % 32;
    float scores[kTokens / 8][4] = {};
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int n = 0; n < kTokens / 16; ++n) {
        unsigned b[4];
        load_matrices(b, tile + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                         i * 2 + lane / 8 % 2));
        multiply_add(scores[2 * n], queries[i], b[0], b[1]);
        multiply_add(scores[2 * n + 1], queries[i], b[2], b[3]);
      }
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
    const bool masked = keys.masked(first_query, first_key);
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = first_key + n * 8 + lane % 4 * 2 + e % 2;
        const int query = first_query + lane / 4 + e / 2 * 8;
        scores[n][e] = !masked || allowed(keys.p, query, key) ? scores[n][e] * scale : -INFINITY;
      }
    weigh(scores);
#pragma unroll
    for (int n = 0; n < kTokens / 16; ++n) {
      const unsigned a[4] = {rounded_pair(scores[2 * n][0], scores[2 * n][1]),
                             rounded_pair(scores[2 * n][2], scores[2 * n][3]),
                             rounded_pair(scores[2 * n + 1][0], scores[2 * n + 1][1]),
                             rounded_pair(scores[2 * n + 1][2], scores[2 * n + 1][3])};
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        unsigned b[4];
        load_matrices_transposed(
            b, tile + Tile<kDim>::kBytes +
                   Tile<kDim>::offset_bytes(n * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(sums[2 * d], a, b[0], b[1]);
        multiply_add(sums[2 * d + 1], a, b[2], b[3]);
      }
    }
  }

  /// Turns scores into weights relative to the running maximum, which they may raise.
  __device__ void weigh(float (&scores)[kTokens / 8][4]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float now = largest[half];
#pragma unroll
      for (int n = 0; n < kTokens / 8; ++n)
        now = fmaxf(now, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 1));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 2));
      const float base = base_of(now), shrink = exp2f(largest[half] - base);
      largest[half] = now;
      weights[half] *= shrink;
#pragma unroll
      for (auto& sum : sums) {
        sum[2 * half] *= shrink;
        sum[2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          scores[n][e] = exp2f(scores[n][e] - base);
          weights[half] += scores[n][e];  // of this thread's keys; added up at the end
        }
    }
  }
};

/// Partial results of a split: sums relative to the split's maximum, and that maximum with the sum
/// of weights.
template <int kDim>
__global__ void __launch_bounds__(kThreads) attend(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int split = blockIdx.y, head = blockIdx.z, lane = threadIdx.x % 32;
  const int own = blockIdx.x * kQueries + threadIdx.x / 32 * 16;
  const Keys keys(p, head, static_cast<int>(blockIdx.x) * kQueries);
  const int tiles = (keys.count() + kTokens - 1) / kTokens;
  const int begin = min(split * p.tiles_of_split, tiles);
  const int end = min(begin + p.tiles_of_split, tiles);
  Rows<kDim> rows;
  rows.load_queries(keys, own);
  if (begin < end) Tile<kDim>::fill(base, keys, begin * kTokens);
  commit_copies();
  for (int tile = begin; tile < end; ++tile) {
    const int stage = (tile - begin) % 2;
    if (tile + 1 < end)
      Tile<kDim>::fill(base + (1 - stage) * 2 * Tile<kDim>::kBytes, keys, (tile + 1) * kTokens);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    if (own < keys.queries())
      rows.add(keys, base + stage * 2 * Tile<kDim>::kBytes, own, tile * kTokens);
    __syncthreads();  // the stage may be filled again
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    rows.weights[half] += __shfl_xor_sync(~0u, rows.weights[half], 1);
    rows.weights[half] += __shfl_xor_sync(~0u, rows.weights[half], 2);
    const int query = own + lane / 4 + half * 8;
    if (query >= keys.queries()) continue;
    const long long row =
        (static_cast<long long>(head) * p.splits + split) * keys.queries() + query;
    if (lane % 4 == 0) p.moments[row] = make_float2(rows.largest[half], rows.weights[half]);
#pragma unroll
    for (int d = 0; d < kDim / 8; ++d)
      *reinterpret_cast<float2*>(p.sums + row * kDim + d * 8 + lane % 4 * 2) =
          make_float2(rows.sums[d][2 * half], rows.sums[d][2 * half + 1]);
  }
}

void split(Problem& p) {
  const int blocks = (p.nodes + kQueries - 1) / kQueries * p.heads;
  const int tiles = (p.length + p.nodes + kTokens - 1) / kTokens;
  const int most_splits = (1024 + blocks - 1) / blocks;
  p.tiles_of_split = max((tiles + most_splits - 1) / most_splits, min(tiles, 8));
  p.splits = (tiles + p.tiles_of_split - 1) / p.tiles_of_split;
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kBytes = 4 * Tile<kDim>::kBytes;
  cudaFuncSetAttribute(attend<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const dim3 grid((p.nodes + kQueries - 1) / kQueries, p.splits, p.heads);
  attend<kDim><<<grid, kThreads, kBytes, stream>>>(p);
}

}  // namespace portable

/// One block a query and head, one thread an element.
__global__ void merge(const Problem p) {
  const int query = blockIdx.x, head = blockIdx.y, dim = blockDim.x, d = threadIdx.x;
  float largest = -INFINITY;
  const long long first = static_cast<long long>(head) * p.splits * p.nodes + query;
  for (int s = 0; s < p.splits; ++s)
    largest = fmaxf(largest, p.moments[first + static_cast<long long>(s) * p.nodes].x);
  const float base = base_of(largest);
  float weights = 0, sum = 0;
  for (int s = 0; s < p.splits; ++s) {
    const long long row = first + static_cast<long long>(s) * p.nodes;
    const float2 of_split = p.moments[row];
    const float shrink = exp2f(of_split.x - base);
    weights += of_split.y * shrink;
    sum += p.sums[row * dim + d] * shrink;
  }
  p.o[(static_cast<long long>(query) * p.heads + head) * dim + d] = __float2half(sum / weights);
}

template <int kDim>
void launch(Problem p, cudaStream_t stream) {
  const bool on_hopper = hopper::built<kDim>();
  if (on_hopper)
    hopper::split(p);
  else
    portable::split(p);
  const size_t rows = static_cast<size_t>(p.heads) * p.splits * p.nodes;
  cudaMallocAsync(reinterpret_cast<void**>(&p.sums), rows * kDim * sizeof(float), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&p.moments), rows * sizeof(float2), stream);
  if (on_hopper)
    hopper::launch<kDim>(p, stream);
  else
    portable::launch<kDim>(p, stream);
  merge<<<dim3(p.nodes, p.heads), kDim, 0, stream>>>(p);
  cudaFreeAsync(p.moments, stream);
  cudaFreeAsync(p.sums, stream);
}

/// One thread a node.
__global__ void find_ancestors(const int* parent, unsigned* ancestors, int nodes, int words) {
  const int node = blockIdx.x * blockDim.x + threadIdx.x;
  if (node >= nodes) return;
  unsigned* own = ancestors + node * words;
  for (int w = 0; w < words; ++w) own[w] = 0;
  for (int a = node; a >= 0; a = parent[a]) own[a / 32] |= 1u << (a % 32);
}

}  // namespace

extern "C" void solve(const __half* q, const __half* k, const __half* v, const int* parent,
                      __half* o, int length, int nodes, int heads, int dim, cudaStream_t stream) {
  const int words = (nodes + 31) / 32;
  unsigned* ancestors = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&ancestors), sizeof(unsigned) * nodes * words, stream);
  find_ancestors<<<(nodes + 31) / 32, 32, 0, stream>>>(parent, ancestors, nodes, words);
  const Problem p{q, k, v, ancestors, o, length, nodes, heads, dim, words, nullptr, nullptr, 0, 0};
  if (dim == 64)
    launch<64>(p, stream);
  else
    launch<128>(p, stream);
  cudaFreeAsync(ancestors, stream);
}
