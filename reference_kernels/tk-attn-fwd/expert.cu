// Specialist: two kernels; the host takes the first where the device code was built with it.
//
// Hopper (sm_90a): wgmma fed by the bulk copy engine. A block has 64 queries for each of its two
// (dimension 128) or three (64) warpgroups that compute, and one thread that asks for tiles of 128
// keys and of 128 values, two stages each; mbarriers count the bytes that arrive and the warps that
// have read them. Scores and sums stay in registers: the accumulator of the first product, as
// weights rounded to bf16, is the left operand of the second. The products of the next tile's
// scores and of this tile's weights with the values are under way while the weights of the next
// tile are computed, and warpgroups take turns in starting products, so that one's exponentials run
// below another's products. Tiles are taken from the last to the first: those that cross the
// diagonal or the end are masked. Bound by the tensor cores with dimension 128, by exponentials as
// much with 64.
//
// Elsewhere: 128 queries a block, 16 a warp, kept in registers as fragments of mma.sync; tiles of
// 64 keys and values arrive by cp.async in a ring of two stages.
//
// Both permute 16-byte chunks within a row against bank conflicts, keep a running maximum and sum
// per row, in exponents of 2, and start the blocks with the most keys first.
#include <cuda.h>
#include <cuda_bf16.h>

#include <cstdint>

namespace {

constexpr int kStages = 2;
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ k;
  const __nv_bfloat16* __restrict__ v;
  __nv_bfloat16* __restrict__ o;
  float* __restrict__ lse;
  int batch, heads, kv_heads, length, causal;
};

__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

namespace hopper {

constexpr int kKeys = 128;
constexpr int kSpan = 64;            // elements in the 128 bytes that a swizzled row takes
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kKeySpanBytes = kKeys * kSpan * 2;

template <int kDim>
struct Shape {
  static constexpr int kConsumers = kDim == 64 ? 3 : 2;  // warpgroups that compute
  static constexpr int kThreads = 128 * (1 + kConsumers);
  static constexpr int kQueries = 64 * kConsumers;
  static constexpr int kQuerySpanBytes = kQueries * kSpan * 2;
  static constexpr int kQueryBytes = kQueries * kDim * 2;
  static constexpr int kTileBytes = kKeys * kDim * 2;  // of keys, or of values
  static constexpr int kSharedBytes = kQueryBytes + 2 * kStages * kTileBytes + kSwizzleBytes;
};

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

/// Copies the box at (head, row, column) into shared memory; `full` counts its bytes.
__device__ void load(unsigned target, const CUtensorMap& map, unsigned full, int head, int row,
                     int column) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5}], [%2];" ::"r"(target),
      "l"(&map), "r"(full), "r"(column), "r"(row), "r"(head)
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
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
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
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
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
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
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
template <int kConsumers>
__device__ void wait_for_turn(int consumer) {
  asm volatile("bar.sync %0, 256;" ::"r"(1 + consumer) : "memory");
}
template <int kConsumers>
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
      multiply(scores, operand(queries + span * Shape<kDim>::kQuerySpanBytes + inner_bytes, 0),
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

  __device__ __forceinline__ void mask(int first_key, int query, int length, int causal) {
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = first_key + n * 8 + threadIdx.x % 4 * 2 + e % 2;
        if (key >= length || (causal && key > query + e / 2 * 8)) scores[n][e] = -INFINITY;
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

  __device__ void store(__nv_bfloat16* o, float* lse, int query, int length) {
    const int lane = threadIdx.x % 32;
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      totals[half] += __shfl_xor_sync(~0u, totals[half], 1);
      totals[half] += __shfl_xor_sync(~0u, totals[half], 2);
      const int row = query + half * 8;
      if (row >= length) continue;
      const float inverse = 1 / totals[half];
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<unsigned*>(o + static_cast<long long>(row) * kDim + d * 8 +
                                     lane % 4 * 2) =
            rounded_pair(sums[d][2 * half] * inverse, sums[d][2 * half + 1] * inverse);
      if (lane % 4 == 0) lse[row] = kLn2 * (largest[half] * scale + log2f(totals[half]));
    }
  }
};

/// Asks for the block's queries, then for keys and values from the last tile to the first.
template <int kDim>
__device__ void produce(const Memory<kDim>& memory, const CUtensorMap& q_map,
                        const CUtensorMap& k_map, const CUtensorMap& v_map, int head, int kv_head,
                        int first, int tiles) {
  arrive_expecting(memory.queries_full(), Shape<kDim>::kQueryBytes);
  for (int span = 0; span < kDim / kSpan; ++span)
    load(memory.queries() + span * Shape<kDim>::kQuerySpanBytes, q_map, memory.queries_full(), head,
         first, span * kSpan);
  const auto load_tile = [&](unsigned target, const CUtensorMap& map, unsigned full, int tile) {
    arrive_expecting(full, Shape<kDim>::kTileBytes);
    for (int span = 0; span < kDim / kSpan; ++span)
      load(target + span * kKeySpanBytes, map, full, kv_head, tile * kKeys, span * kSpan);
  };
  Turn turn;
  for (int tile = tiles - 1; tile >= 0; --tile, turn.advance()) {
    wait(memory.keys_empty(turn.stage), turn.parity ^ 1);
    load_tile(memory.keys(turn.stage), k_map, memory.keys_full(turn.stage), tile);
    wait(memory.values_empty(turn.stage), turn.parity ^ 1);
    load_tile(memory.values(turn.stage), v_map, memory.values_full(turn.stage), tile);
  }
}

template <int kDim>
__device__ __forceinline__ void consume(const Memory<kDim>& memory, const Problem& p, int head,
                                        int first, int tiles) {
  constexpr int kConsumers = Shape<kDim>::kConsumers;
  const int consumer = threadIdx.x / 128 - 1, lane = threadIdx.x % 32;
  const int own = first + consumer * 64;  // the warpgroup's first query
  const int query = own + threadIdx.x / 32 % 4 * 16 + lane / 4;
  const unsigned queries = memory.queries() + consumer * 64 * kSpan * 2;
  const auto release = [&](unsigned barrier) {
    if (lane == 0) arrive(barrier);
  };
  const auto mask = [&](Rows<kDim>& rows, int tile) {
    const int end = (tile + 1) * kKeys;
    if (end > p.length || (p.causal && end > own + 1))
      rows.mask(tile * kKeys, query, p.length, p.causal);
  };

  Rows<kDim> rows;
  Turn keys, values;
  if (consumer == kConsumers - 1) give_turn<kConsumers>(consumer);
  wait(memory.queries_full(), 0);
  wait(memory.keys_full(keys.stage), keys.parity);
  rows.start_scores(queries, memory.keys(keys.stage));
  wait_for_products<0>();
  settle(rows.scores);
  release(memory.keys_empty(keys.stage));
  keys.advance();
  mask(rows, tiles - 1);
  rows.weigh();
  rows.round_weights();
  if (tiles > 1) wait(memory.keys_full(keys.stage), keys.parity);
  for (int tile = tiles - 2; tile >= 0; --tile) {
    wait_for_turn<kConsumers>(consumer);
    rows.start_scores(queries, memory.keys(keys.stage));
    wait(memory.values_full(values.stage), values.parity);
    rows.start_sums(memory.values(values.stage), tile < tiles - 2);
    give_turn<kConsumers>(consumer);
    wait_for_products<1>();  // for the scores
    settle(rows.scores);
    release(memory.keys_empty(keys.stage));
    keys.advance();
    mask(rows, tile);
    rows.weigh();
    settle(rows.scores);
    // Here, so that there is a branch between the weights and the wait for the sums: the assembler
    // would put that wait first, and all of the above behind it.
    if (tile > 0) wait(memory.keys_full(keys.stage), keys.parity);
    wait_for_products<0>();  // for the sums
    settle(rows.sums);
    settle(rows.weights);
    release(memory.values_empty(values.stage));
    values.advance();
    rows.shrink_sums();
    rows.round_weights();
  }
  wait(memory.values_full(values.stage), values.parity);
  rows.start_sums(memory.values(values.stage), tiles > 1);
  wait_for_products<0>();
  settle(rows.sums);
  const long long row = static_cast<long long>(head) * p.length;
  rows.store(p.o + row * kDim, p.lse + row, query, p.length);
}

#endif

template <int kDim>
__global__ void __launch_bounds__(Shape<kDim>::kThreads, 1)
    attention(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
              const __grid_constant__ CUtensorMap v_map, const Problem p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t barriers[Memory<kDim>::kBarriers];
  constexpr int kConsumers = Shape<kDim>::kConsumers;
  const Memory<kDim> memory{
      (shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes,
      shared_address(barriers)};
  const int first = (gridDim.x - 1 - blockIdx.x) * Shape<kDim>::kQueries;
  const int head = blockIdx.z * p.heads + blockIdx.y;
  const int kv_head = blockIdx.z * p.kv_heads + blockIdx.y / (p.heads / p.kv_heads);
  const int end = p.causal ? min(first + Shape<kDim>::kQueries, p.length) : p.length;
  const int tiles = (end + kKeys - 1) / kKeys;
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
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kConsumers == 2 ? 24 : 32));
    if (threadIdx.x == 0) produce<kDim>(memory, q_map, k_map, v_map, head, kv_head, first, tiles);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kConsumers == 2 ? 240 : 160));
    consume<kDim>(memory, p, head, first, tiles);
  }
#endif
}

/// The kernel above has no barriers where it was built without a body.
template <int kDim>
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, attention<kDim>) == cudaSuccess &&
         attributes.sharedSizeBytes > 0;
}

/// For boxes of `box_rows` x 64 elements of one head, swizzled; zeros beyond its end.
CUtensorMap tensor_map(const __nv_bfloat16* heads, int count, int length, int dim,
                       unsigned box_rows) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  const cuuint64_t row_bytes = static_cast<cuuint64_t>(dim) * sizeof(__nv_bfloat16);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(dim), static_cast<cuuint64_t>(length),
                              static_cast<cuuint64_t>(count)};
  const cuuint64_t strides_bytes[] = {row_bytes, row_bytes * length};
  const cuuint32_t box[] = {kSpan, box_rows, 1}, steps[] = {1, 1, 1};
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<__nv_bfloat16*>(heads), sizes,
      strides_bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  using S = Shape<kDim>;
  const auto map = [&](const __nv_bfloat16* heads, int count, unsigned box_rows) {
    return tensor_map(heads, p.batch * count, p.length, kDim, box_rows);
  };
  cudaFuncSetAttribute(attention<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       S::kSharedBytes);
  const dim3 grid((p.length + S::kQueries - 1) / S::kQueries, p.heads, p.batch);
  attention<kDim><<<grid, S::kThreads, S::kSharedBytes, stream>>>(
      map(p.q, p.heads, S::kQueries), map(p.k, p.kv_heads, kKeys), map(p.v, p.kv_heads, kKeys), p);
}

}  // namespace hopper

namespace portable {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;
constexpr int kKeys = 64;

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
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/// Keys or values of one stage in shared memory.
template <int kDim>
struct Tile {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kBytes = kKeys * kDim * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  static __device__ void fill(unsigned base, const __nv_bfloat16* rows, int first, int count) {
#pragma unroll
    for (int i = 0; i < kKeys * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const bool inside = first + row < count;
      copy_async(base + offset_bytes(row, chunk),
                 rows + static_cast<long long>(inside ? first + row : 0) * kDim + chunk * 8,
                 inside);
    }
  }
};

/// Rows lane / 4 and lane / 4 + 8 of the warp's 16 queries.
template <int kDim>
struct Rows {
  unsigned queries[kDim / 16][4];
  float sums[kDim / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, weights[2] = {0, 0};

  __device__ void load_queries(const __nv_bfloat16* q, int first, int length) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int row = first + lane / 4 + part % 2 * 8;
        const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
        queries[i][part] = row < length ? *reinterpret_cast<const unsigned*>(
                                              q + static_cast<long long>(row) * kDim + column)
                                        : 0;
      }
  }

  __device__ void add(unsigned keys, unsigned values, int first_query, int first_key, int length,
                      int causal, bool masked) {
    const int lane = threadIdx.x % 32;
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        unsigned b[4];
        load_matrices(b, keys + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                         i * 2 + lane / 8 % 2));
        multiply_add(scores[2 * n], queries[i], b[0], b[1]);
        multiply_add(scores[2 * n + 1], queries[i], b[2], b[3]);
      }
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = first_key + n * 8 + lane % 4 * 2 + e % 2;
        const int query = first_query + lane / 4 + e / 2 * 8;
        const bool allowed = !masked || (key < length && (!causal || key <= query));
        scores[n][e] = allowed ? scores[n][e] * scale : -INFINITY;
      }
    weigh(scores);
#pragma unroll
    for (int n = 0; n < kKeys / 16; ++n) {
      const unsigned a[4] = {rounded_pair(scores[2 * n][0], scores[2 * n][1]),
                             rounded_pair(scores[2 * n][2], scores[2 * n][3]),
                             rounded_pair(scores[2 * n + 1][0], scores[2 * n + 1][1]),
                             rounded_pair(scores[2 * n + 1][2], scores[2 * n + 1][3])};
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        unsigned b[4];
        load_matrices_transposed(
            b, values + Tile<kDim>::offset_bytes(n * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(sums[2 * d], a, b[0], b[1]);
        multiply_add(sums[2 * d + 1], a, b[2], b[3]);
      }
    }
  }

  /// Turns scores into weights relative to the running maximum, which they may raise.
  __device__ void weigh(float (&scores)[kKeys / 8][4]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float now = largest[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
        now = fmaxf(now, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 1));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 2));
      const float base = now == -INFINITY ? 0.0f : now;
      const float shrink = exp2f(largest[half] - base);
      largest[half] = now;
      weights[half] *= shrink;
#pragma unroll
      for (auto& sum : sums) {
        sum[2 * half] *= shrink;
        sum[2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          scores[n][e] = exp2f(scores[n][e] - base);
          weights[half] += scores[n][e];  // of this thread's keys; added up at the end
        }
    }
  }

  __device__ void store(__nv_bfloat16* o, float* lse, int first, int length) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      weights[half] += __shfl_xor_sync(~0u, weights[half], 1);
      weights[half] += __shfl_xor_sync(~0u, weights[half], 2);
      const int row = first + lane / 4 + half * 8;
      if (row >= length) continue;
      const float inverse = 1 / weights[half];
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<unsigned*>(o + static_cast<long long>(row) * kDim + d * 8 +
                                     lane % 4 * 2) =
            rounded_pair(sums[d][2 * half] * inverse, sums[d][2 * half + 1] * inverse);
      if (lane % 4 == 0) lse[row] = kLn2 * (largest[half] + log2f(weights[half]));
    }
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int block = gridDim.x - 1 - blockIdx.x, h = blockIdx.y, b = blockIdx.z;
  const long long head = (static_cast<long long>(b) * p.heads + h) * p.length;
  const long long kv =
      (static_cast<long long>(b) * p.kv_heads + h / (p.heads / p.kv_heads)) * p.length;
  const __nv_bfloat16 *keys = p.k + kv * kDim, *values = p.v + kv * kDim;
  const int first = block * kQueries, own = first + threadIdx.x / 32 * 16;
  const int end = p.causal ? min(first + kQueries, p.length) : p.length;
  const int tiles = (end + kKeys - 1) / kKeys;
  const auto fill = [&](int tile) {
    const unsigned stage = base + tile % kStages * 2 * Tile<kDim>::kBytes;
    Tile<kDim>::fill(stage, keys, tile * kKeys, p.length);
    Tile<kDim>::fill(stage + Tile<kDim>::kBytes, values, tile * kKeys, p.length);
  };

  Rows<kDim> rows;
  rows.load_queries(p.q + head * kDim, own, p.length);
  fill(0);
  commit_copies();
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) fill(tile + 1);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const unsigned stage = base + tile % kStages * 2 * Tile<kDim>::kBytes;
    const int first_key = tile * kKeys, last_key = first_key + kKeys - 1;
    if (!p.causal || first_key <= own + 15)
      rows.add(stage, stage + Tile<kDim>::kBytes, own, first_key, p.length, p.causal,
               last_key >= p.length || (p.causal && last_key > own));
    __syncthreads();  // the stage may be filled again
  }
  rows.store(p.o + head * kDim, p.lse + head, own, p.length);
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kBytes = kStages * 2 * Tile<kDim>::kBytes;
  cudaFuncSetAttribute(attention<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const dim3 grid((p.length + kQueries - 1) / kQueries, p.heads, p.batch);
  attention<kDim><<<grid, kThreads, kBytes, stream>>>(p);
}

}  // namespace portable

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  if (hopper::built<kDim>())
    hopper::launch<kDim>(p, stream);
  else
    portable::launch<kDim>(p, stream);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      __nv_bfloat16* o, float* lse, int batch, int heads, int kv_heads, int length,
                      int dim, int causal, cudaStream_t stream) {
  const Problem p{q, k, v, o, lse, batch, heads, kv_heads, length, causal};
  if (dim == 64)
    launch<64>(p, stream);
  else
    launch<128>(p, stream);
}
