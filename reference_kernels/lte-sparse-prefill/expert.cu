// Specialist: the keys of a block of queries are numbered through: first the retained tokens that
// the last of the queries may see (places ascend, so they are a prefix of the list), then the
// tokens of all their windows. Only tiles at an edge (of the list, the window, the diagonal) are
// masked. Scores stay in registers and become the left operand of the second product.
//
// On Hopper (sm_90a), where the device code was built with that kernel, products are wgmma fed by
// the bulk copy engine. A block has 64 queries for each of two warpgroups that compute, and one
// thread that asks for tiles of 128 keys and of 128 values, two stages each; mbarriers count the
// bytes that arrive and the warps that have read them. The products of the next tile's scores and
// of this tile's weights with the values are under way while the weights of the next tile are
// computed, and warpgroups take turns in starting products, so that one's exponentials run below
// another's products. Bound by the tensor cores with dimension 128, by exponentials as much
// with 64.
//
// Elsewhere 64 queries a block, 16 a warp, kept in registers as fragments of mma.sync. Tiles of 64
// arrive by cp.async, one ahead.
#include <cuda.h>
#include <cuda_bf16.h>

#include <cstdint>

namespace {

constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

using Element = __nv_bfloat16;

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ k;
  const __nv_bfloat16* __restrict__ v;
  const __nv_bfloat16* __restrict__ kp;
  const __nv_bfloat16* __restrict__ vp;
  const int* __restrict__ idx;
  const int* __restrict__ cnt;
  __nv_bfloat16* __restrict__ o;
  float* __restrict__ lse;
  int batch, length, heads, kv_heads, dim, window, kept;
};

__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

/// The keys of a block of queries: retained tokens that any of them may see, filled up to whole
/// tiles, then the tokens from the first query's window to the last query.
template <int kQueries, int kTokens>
struct KeysOf {
  const Problem& p;
  int b, h, head, first_query;
  int retained, padded;  // padded to tiles
  int first_token, last_query;
  const int* idx;

  __device__ KeysOf(const Problem& problem, int sequence, int query_head, int query)
      : p(problem),
        b(sequence),
        h(query_head),
        head(query_head / (problem.heads / problem.kv_heads)),
        first_query(query) {
    idx = p.idx + (static_cast<long long>(b) * p.kv_heads + head) * p.kept;
    last_query = min(query + kQueries, p.length) - 1;
    const int count = p.cnt[b * p.kv_heads + head];
    retained = 0;  // idx ascends
    for (int first = 0; first < count; first += blockDim.x) {
      const int i = first + threadIdx.x;
      retained += __syncthreads_count(i < count && idx[i] <= last_query - p.window);
    }
    __syncthreads();
    padded = (retained + kTokens - 1) / kTokens * kTokens;
    first_token = max(0, query - p.window + 1);
  }
  __device__ int queries() const { return p.length; }
  __device__ int count() const { return padded + last_query - first_token + 1; }
  __device__ const Element* query(int i) const {
    return p.q + ((static_cast<long long>(b) * p.length + i) * p.heads + h) * p.dim;
  }
  __device__ const Element* keys_of(int j) const { return j < padded ? p.kp : p.k; }
  __device__ const Element* values_of(int j) const { return j < padded ? p.vp : p.v; }
  /// First element of a key and value, -1 where there is none.
  __device__ long long row(int j) const {
    if (j < padded)
      return j < retained ? ((static_cast<long long>(b) * p.kept + j) * p.kv_heads + head) * p.dim
                          : -1;
    const int token = first_token + j - padded;
    if (token > last_query) return -1;
    return ((static_cast<long long>(b) * p.length + token) * p.kv_heads + head) * p.dim;
  }
  /// Whether some of a warp's 16 queries must not see some keys of the tile.
  __device__ bool masked(int query, int j) const {
    if (j < padded) return j + kTokens > retained || idx[j + kTokens - 1] > query - p.window;
    const int token = first_token + j - padded;
    return token + kTokens - 1 > query || token <= query + 15 - p.window;
  }
  __device__ bool allowed(int query, int j) const {
    if (j < padded) return j < retained && idx[j] <= query - p.window;
    const int token = first_token + j - padded;
    return token <= query && token > query - p.window;
  }
};

namespace hopper {

constexpr int kTokens = 128;         // keys of a tile
constexpr int kSpan = 64;            // elements in the 128 bytes that a swizzled row takes
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kKeySpanBytes = kTokens * kSpan * 2;

constexpr int kConsumers = 2;  // warpgroups that compute
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kQueries = 64 * kConsumers;
constexpr int kQuerySpanBytes = kQueries * kSpan * 2;
constexpr int kStages = 2;

template <int kDim>
struct Shape {
  static constexpr int kQueryBytes = kQueries * kDim * 2;
  static constexpr int kTileBytes = kTokens * kDim * 2;  // of keys, or of values
  static constexpr int kSharedBytes = kQueryBytes + 2 * kStages * kTileBytes + kSwizzleBytes;
};

struct Maps {
  CUtensorMap q, k, v, kp, vp;
};

using Keys = KeysOf<kQueries, kTokens>;

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

/// Copies rows of 64 columns of a head into shared memory; `full` counts their bytes.
__device__ void load(unsigned target, const CUtensorMap& map, unsigned full, int sequence, int row,
                     int head, int column) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5, %6}], [%2];" ::"r"(target),
      "l"(&map), "r"(full), "r"(column), "r"(head), "r"(row), "r"(sequence)
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
__device__ void wait_for_turn(int consumer) {
  asm volatile("bar.sync %0, 256;" ::"r"(1 + consumer) : "memory");
}
__device__ void give_turn(int consumer) {
  asm volatile("bar.arrive %0, 256;" ::"r"(1 + (consumer + 1) % kConsumers) : "memory");
}

/// What a thread of a warpgroup computes: parts of two rows, 8 apart.
template <int kDim>
struct Rows {
  float scores[kTokens / 8][4];
  unsigned weights[kTokens / 16][4];  // of the keys, rounded: a left operand
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
    for (int i = 0; i < kTokens / 16; ++i)
      multiply(sums, weights[i], operand(values + i * 16 * kSpan * 2, kKeySpanBytes), add || i > 0);
    commit_products();
  }

  __device__ __forceinline__ void mask(const Keys& keys, int first_key, int query) {
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = first_key + n * 8 + threadIdx.x % 4 * 2 + e % 2;
        if (!keys.allowed(query + e / 2 * 8, key)) scores[n][e] = -INFINITY;
      }
  }

  /// Turns scores into weights relative to the running maximum, which they may raise.
  __device__ __forceinline__ void weigh() {
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float now = largest[half];
#pragma unroll
      for (int n = 0; n < kTokens / 8; ++n)
        now = fmaxf(now, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 1));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 2));
      const float base = now == -INFINITY ? 0.0f : now * scale;
      shrink[half] = power_of_2(largest[half] * scale - base);
      largest[half] = now;
      totals[half] *= shrink[half];
#pragma unroll
      for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          scores[n][e] = power_of_2(scores[n][e] * scale - base);
          totals[half] += scores[n][e];  // of this thread's keys; added up at the end
        }
    }
  }

  __device__ __forceinline__ void round_weights() {
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n) {
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

  __device__ void store(const Keys& keys, int query) {
    const Problem& p = keys.p;
    const int lane = threadIdx.x % 32;
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      totals[half] += __shfl_xor_sync(~0u, totals[half], 1);
      totals[half] += __shfl_xor_sync(~0u, totals[half], 2);
      const int row = query + half * 8;
      if (row >= p.length) continue;
      const float inverse = 1 / totals[half];
      __nv_bfloat16* target =
          p.o + ((static_cast<long long>(keys.b) * p.length + row) * p.heads + keys.h) * kDim;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<unsigned*>(target + d * 8 + lane % 4 * 2) =
            rounded_pair(sums[d][2 * half] * inverse, sums[d][2 * half + 1] * inverse);
      if (lane % 4 == 0)
        p.lse[(static_cast<long long>(keys.b) * p.heads + keys.h) * p.length + row] =
            kLn2 * (largest[half] * scale + log2f(totals[half]));
    }
  }
};

/// Asks for the block's queries, then for keys and values: retained tokens, then those of windows.
template <int kDim>
__device__ void produce(const Memory<kDim>& memory, const Maps& maps, const Keys& keys, int tiles) {
  arrive_expecting(memory.queries_full(), Shape<kDim>::kQueryBytes);
  for (int span = 0; span < kDim / kSpan; ++span)
    load(memory.queries() + span * kQuerySpanBytes, maps.q, memory.queries_full(), keys.b,
         keys.first_query, keys.h, span * kSpan);
  const auto load_tile = [&](unsigned target, const CUtensorMap& map, unsigned full, int row) {
    arrive_expecting(full, Shape<kDim>::kTileBytes);
    for (int span = 0; span < kDim / kSpan; ++span)
      load(target + span * kKeySpanBytes, map, full, keys.b, row, keys.head, span * kSpan);
  };
  Turn turn;
  for (int tile = 0; tile < tiles; ++tile, turn.advance()) {
    const bool retained = tile * kTokens < keys.padded;
    const int row = tile * kTokens + (retained ? 0 : keys.first_token - keys.padded);
    wait(memory.keys_empty(turn.stage), turn.parity ^ 1);
    load_tile(memory.keys(turn.stage), retained ? maps.kp : maps.k, memory.keys_full(turn.stage),
              row);
    wait(memory.values_empty(turn.stage), turn.parity ^ 1);
    load_tile(memory.values(turn.stage), retained ? maps.vp : maps.v,
              memory.values_full(turn.stage), row);
  }
}

template <int kDim>
__device__ __forceinline__ void consume(const Memory<kDim>& memory, const Keys& keys, int tiles) {
  const int consumer = threadIdx.x / 128 - 1, lane = threadIdx.x % 32;
  const int own = keys.first_query + consumer * 64 + threadIdx.x / 32 % 4 * 16;  // of the warp
  const unsigned queries = memory.queries() + consumer * 64 * kSpan * 2;
  const auto release = [&](unsigned barrier) {
    if (lane == 0) arrive(barrier);
  };
  const auto mask = [&](Rows<kDim>& rows, int tile) {
    if (keys.masked(own, tile * kTokens)) rows.mask(keys, tile * kTokens, own + lane / 4);
  };

  Rows<kDim> rows;
  Turn key_turn, value_turn;
  if (consumer == kConsumers - 1) give_turn(consumer);
  wait(memory.queries_full(), 0);
  wait(memory.keys_full(key_turn.stage), key_turn.parity);
  rows.start_scores(queries, memory.keys(key_turn.stage));
  wait_for_products<0>();
  settle(rows.scores);
  release(memory.keys_empty(key_turn.stage));
  key_turn.advance();
  mask(rows, 0);
  rows.weigh();
  rows.round_weights();
  if (tiles > 1) wait(memory.keys_full(key_turn.stage), key_turn.parity);
  for (int tile = 1; tile < tiles; ++tile) {
    wait_for_turn(consumer);
    rows.start_scores(queries, memory.keys(key_turn.stage));
    wait(memory.values_full(value_turn.stage), value_turn.parity);
    rows.start_sums(memory.values(value_turn.stage), tile > 1);
    give_turn(consumer);
    wait_for_products<1>();  // for the scores
    settle(rows.scores);
    release(memory.keys_empty(key_turn.stage));
    key_turn.advance();
    mask(rows, tile);
    rows.weigh();
    settle(rows.scores);
    // Here, so that there is a branch between the weights and the wait for the sums: the assembler
    // would put that wait first, and all of the above behind it.
    if (tile + 1 < tiles) wait(memory.keys_full(key_turn.stage), key_turn.parity);
    wait_for_products<0>();  // for the sums
    settle(rows.sums);
    settle(rows.weights);
    release(memory.values_empty(value_turn.stage));
    value_turn.advance();
    rows.shrink_sums();
    rows.round_weights();
  }
  wait(memory.values_full(value_turn.stage), value_turn.parity);
  rows.start_sums(memory.values(value_turn.stage), tiles > 1);
  wait_for_products<0>();
  settle(rows.sums);
  rows.store(keys, own + lane / 4);
}

#endif

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1)
    attention(const __grid_constant__ Maps maps, const Problem p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t barriers[Memory<kDim>::kBarriers];
  const Memory<kDim> memory{
      (shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes,
      shared_address(barriers)};
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
  // Heads of a group are neighbours, for the L2 cache.
  const Keys keys(p, blockIdx.z, blockIdx.x, static_cast<int>(blockIdx.y) * kQueries);
  const int tiles = (keys.count() + kTokens - 1) / kTokens;
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 0) produce<kDim>(memory, maps, keys, tiles);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    consume<kDim>(memory, keys, tiles);
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

/// For boxes of `box_rows` rows of 64 elements of one head, swizzled; zeros beyond the last row.
CUtensorMap tensor_map(const __nv_bfloat16* tensor, int batch, int rows, int heads, int dim,
                       unsigned box_rows) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  const cuuint64_t head_bytes = static_cast<cuuint64_t>(dim) * sizeof(__nv_bfloat16);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(dim), static_cast<cuuint64_t>(heads),
                              static_cast<cuuint64_t>(rows), static_cast<cuuint64_t>(batch)};
  const cuuint64_t strides_bytes[] = {head_bytes, head_bytes * heads, head_bytes * heads * rows};
  const cuuint32_t box[] = {kSpan, 1, box_rows, 1}, steps[] = {1, 1, 1, 1};
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, const_cast<__nv_bfloat16*>(tensor), sizes,
      strides_bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  using S = Shape<kDim>;
  const auto keys = [&](const __nv_bfloat16* tensor, int rows) {
    return tensor_map(tensor, p.batch, rows, p.kv_heads, kDim, kTokens);
  };
  const Maps maps{tensor_map(p.q, p.batch, p.length, p.heads, kDim, kQueries), keys(p.k, p.length),
                  keys(p.v, p.length), keys(p.kp, max(p.kept, 1)), keys(p.vp, max(p.kept, 1))};
  cudaFuncSetAttribute(attention<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       S::kSharedBytes);
  const dim3 grid(p.heads, (p.length + kQueries - 1) / kQueries, p.batch);
  attention<kDim><<<grid, kThreads, S::kSharedBytes, stream>>>(maps, p);
}

}  // namespace hopper

namespace portable {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;
constexpr int kTokens = 64;  // keys of a tile

using Keys = KeysOf<kQueries, kTokens>;

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
__device__ float base_of(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

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
        scores[n][e] = !masked || keys.allowed(query, key) ? scores[n][e] * scale : -INFINITY;
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

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x % 32;
  const int own = blockIdx.x * kQueries + threadIdx.x / 32 * 16;
  const Keys keys(p, b, h, static_cast<int>(blockIdx.x) * kQueries);
  const int tiles = (keys.count() + kTokens - 1) / kTokens;
  Rows<kDim> rows;
  rows.load_queries(keys, own);
  Tile<kDim>::fill(base, keys, 0);
  commit_copies();
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles)
      Tile<kDim>::fill(base + (tile + 1) % 2 * 2 * Tile<kDim>::kBytes, keys, (tile + 1) * kTokens);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    rows.add(keys, base + tile % 2 * 2 * Tile<kDim>::kBytes, own, tile * kTokens);
    __syncthreads();  // the stage may be filled again
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    rows.weights[half] += __shfl_xor_sync(~0u, rows.weights[half], 1);
    rows.weights[half] += __shfl_xor_sync(~0u, rows.weights[half], 2);
    const int query = own + lane / 4 + half * 8;
    if (query >= p.length) continue;
    const float inverse = 1 / rows.weights[half];
    Element* target = p.o + ((static_cast<long long>(b) * p.length + query) * p.heads + h) * kDim;
#pragma unroll
    for (int d = 0; d < kDim / 8; ++d)
      *reinterpret_cast<unsigned*>(target + d * 8 + lane % 4 * 2) =
          rounded_pair(rows.sums[d][2 * half] * inverse, rows.sums[d][2 * half + 1] * inverse);
    if (lane % 4 == 0)
      p.lse[(static_cast<long long>(b) * p.heads + h) * p.length + query] =
          kLn2 * (rows.largest[half] + log2f(rows.weights[half]));
  }
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kBytes = 4 * Tile<kDim>::kBytes;
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
                      const __nv_bfloat16* kp, const __nv_bfloat16* vp, const int* idx,
                      const int* cnt, __nv_bfloat16* o, float* lse, int batch, int length,
                      int heads, int kv_heads, int dim, int window, int kept, cudaStream_t stream) {
  const Problem p{q,   k,     v,      kp,    vp,       idx, cnt,    o,
                  lse, batch, length, heads, kv_heads, dim, window, kept};
  if (dim == 64)
    launch<64>(p, stream);
  else
    launch<128>(p, stream);
}
