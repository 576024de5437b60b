// Specialist: rows of a block are (token, head) pairs that share a head of keys, so that few heads
// fill a tile as well as many. The running maximum spans all pairs of keys. The smaller window is
// made the first one.
//
// Dimension 128 on Hopper (sm_90a), where the device code was built with that kernel: an attention
// whose keys and values are the products of a first and a second one, with wgmma. One warpgroup
// keeps a tile of 64 second keys and values in registers and writes its products with one first key
// and value after the other, rounded to bf16, into a ring of four stages in shared memory; two more
// warpgroups with 64 rows each, queries in registers, read them. A stage has two mbarriers: `full`
// counts the threads that have written, `empty` the warps that have read. The next pair's scores
// and this pair's sums are under way while the weights of the next are computed. Bound by the
// tensor cores and by what these read from shared memory.
//
// Otherwise with mma.sync: for one first key j the task is an attention, of queries q * k1[j] to
// keys k2, whose output is multiplied by v1[j]. A warp has 16 rows. A tile of 64 second keys and
// values stays in shared memory while the warp walks over its first keys: the left operand q *
// k1[j] is made in registers, scores stay there and become the left operand of the second product,
// and v1[j] is applied once to its result. Bound by tensor cores, then by exponentials.
#include <cuda_bf16.h>

#include <cstdint>

namespace {

constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
/// Products of two pairs, rounded to bf16.
__device__ unsigned multiply_pairs(unsigned a, unsigned b) {
  const __nv_bfloat162 product = __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&a),
                                         *reinterpret_cast<const __nv_bfloat162*>(&b));
  return *reinterpret_cast<const unsigned*>(&product);
}
__device__ float2 widened_pair(unsigned pair) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(&pair));
}
__device__ unsigned load_pair(const __nv_bfloat16* from) {
  return __ldg(reinterpret_cast<const unsigned*>(from));
}
__device__ float base_of(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ k1;
  const __nv_bfloat16* __restrict__ k2;
  const __nv_bfloat16* __restrict__ v1;
  const __nv_bfloat16* __restrict__ v2;
  __nv_bfloat16* __restrict__ o;
  float* __restrict__ lse;
  int length, heads, kv_heads, window1, window2;
};

/// Rows of one sequence and head of keys: row r is head r % group of token r / group.
struct Rows {
  const Problem& p;
  int b, m, group, count;

  __device__ Rows(const Problem& problem, int of_batch, int of_head)
      : p(problem), b(of_batch), m(of_head), group(p.heads / p.kv_heads), count(p.length * group) {}
  __device__ int token(int row) const { return row / group; }
  __device__ int head(int row) const { return m * group + row % group; }
  __device__ long long of_query(int row, int dim) const {
    return ((static_cast<long long>(b) * p.length + token(row)) * p.heads + head(row)) * dim;
  }
  __device__ long long of_key(int key, int dim) const {
    return ((static_cast<long long>(b) * p.length + key) * p.kv_heads + m) * dim;
  }
};

namespace hopper {

constexpr int kDim = 128;
constexpr int kKeys = 64;      // second keys of a tile
constexpr int kConsumers = 2;  // warpgroups that compute
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kRows = 64 * kConsumers;
constexpr int kStages = 4;
constexpr int kSpan = 64;                      // elements in the 128 bytes of a swizzled row
constexpr int kSpanBytes = kKeys * kSpan * 2;  // 64 columns of a tile
constexpr int kTileBytes = kDim / kSpan * kSpanBytes;
constexpr int kStageBytes = 2 * kTileBytes;  // products of keys, then of values
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kSharedBytes = kStages * kStageBytes + kSwizzleBytes;

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

/// 64 x 64 of d = 64 x 16 of a times 16 x 64 of b, plus d if `add`; b in shared memory, its columns
/// deep. Of d, a thread holds columns 8 j + lane % 4 * 2 and the next, of row lane / 4 of its
/// warp's 16 rows, and of the 8th below; of a it holds the same of two times 8 columns.
__device__ __forceinline__ void multiply(float (&d)[8][4], const unsigned (&a)[4], uint64_t b,
                                         bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %37, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
      "}, {%32, %33, %34, %35}, %36, add, 1, 1, 0;\n"
      "}"
      : SUMS_8(0)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}
/// The same with 128 columns, whose rows are deep.
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
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

/// Stages in shared memory, and their barriers of 8 bytes.
struct Memory {
  unsigned stages, barriers;

  __device__ unsigned keys(int stage) const { return stages + stage * kStageBytes; }
  __device__ unsigned values(int stage) const { return keys(stage) + kTileBytes; }
  __device__ unsigned full(int stage) const { return barriers + 8 * stage; }
  __device__ unsigned empty(int stage) const { return full(kStages + stage); }
};

/// The pairs that a block goes through: for each tile of second keys, all first keys.
struct Pairs {
  int first_begin, first_end;    // first keys
  int second_begin, second_end;  // second keys
  int first, second;             // the current first key, the tile's first second key

  __device__ Pairs(const Rows& rows, int block_row) {
    const int oldest = rows.token(block_row);
    const int newest = rows.token(min(block_row + kRows, rows.count) - 1);
    first_begin = max(0, oldest - rows.p.window1 + 1);
    second_begin = max(0, oldest - rows.p.window2 + 1);
    first_end = second_end = newest + 1;
    first = first_begin;
    second = second_begin;
  }
  __device__ bool left() const { return second < second_end; }
  __device__ void advance() {
    if (++first < first_end) return;
    first = first_begin;
    second += kKeys;
  }
};

__device__ uint4 multiply_eight(uint4 a, uint4 b) {
  return make_uint4(multiply_pairs(a.x, b.x), multiply_pairs(a.y, b.y), multiply_pairs(a.z, b.z),
                    multiply_pairs(a.w, b.w));
}

/// Multiplies the second keys and values of a tile, which stay in registers, by one first key and
/// value after the other. A thread has 8 columns of every 8th row.
__device__ void produce(const Memory& memory, const Rows& rows, int block_row) {
  constexpr int kOwn = kKeys / 8;
  const int column = threadIdx.x % 16 * 8, row = threadIdx.x / 16;
  const unsigned offset =
      column / kSpan * kSpanBytes + row * 128 + ((column % kSpan / 8) ^ row) * 16;
  const auto load_eight = [&](const __nv_bfloat16* from, int key) {
    return __ldg(reinterpret_cast<const uint4*>(from + rows.of_key(key, kDim) + column));
  };
  const auto store_eight = [](unsigned address, uint4 x) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(x.x), "r"(x.y),
                 "r"(x.z), "r"(x.w)
                 : "memory");
  };
  uint4 keys[kOwn], values[kOwn];
  Turn turn;
  Pairs pairs(rows, block_row);
  uint4 next_key = load_eight(rows.p.k1, pairs.first);
  uint4 next_value = load_eight(rows.p.v1, pairs.first);
  for (; pairs.left(); turn.advance()) {
    if (pairs.first == pairs.first_begin) {
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const int key = pairs.second + row + 8 * i;
        const bool inside = key < pairs.second_end;
        keys[i] = inside ? load_eight(rows.p.k2, key) : make_uint4(0, 0, 0, 0);
        values[i] = inside ? load_eight(rows.p.v2, key) : make_uint4(0, 0, 0, 0);
      }
    }
    const uint4 key = next_key, value = next_value;
    pairs.advance();
    next_key = load_eight(rows.p.k1, pairs.first);
    next_value = load_eight(rows.p.v1, pairs.first);
    wait(memory.empty(turn.stage), turn.parity ^ 1);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      store_eight(memory.keys(turn.stage) + offset + i * 1024, multiply_eight(keys[i], key));
      store_eight(memory.values(turn.stage) + offset + i * 1024, multiply_eight(values[i], value));
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");  // wgmma reads them next
    arrive(memory.full(turn.stage));
  }
}

/// What a thread of a warpgroup computes: parts of two rows, 8 apart.
struct Attention {
  unsigned queries[kDim / 16][4];
  float scores[kKeys / 8][4];
  unsigned weights[kKeys / 16][4];  // of the pairs, rounded: a left operand
  float sums[kDim / 8][4];
  float largest[2] = {-INFINITY, -INFINITY}, totals[2] = {0, 0}, shrink[2];
  int tokens[2];  // -1: no such row

  __device__ __forceinline__ void load(const Rows& rows, int first) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first + lane / 4 + half * 8;
      tokens[half] = row < rows.count ? rows.token(row) : -1;
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
        for (int side = 0; side < 2; ++side)
          queries[i][half + 2 * side] = row < rows.count
                                            ? load_pair(rows.p.q + rows.of_query(row, kDim) +
                                                        i * 16 + lane % 4 * 2 + side * 8)
                                            : 0;
    }
  }

  __device__ __forceinline__ void start_scores(unsigned keys) {
    settle(scores);
    begin_products();
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
      multiply(scores, queries[i], operand(keys + i / 4 * kSpanBytes + i % 4 * 32, 0), i > 0);
    commit_products();
  }
  __device__ __forceinline__ void start_sums(unsigned values, bool add) {
    settle(sums);
    settle(weights);
    begin_products();
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i)
      multiply(sums, weights[i], operand(values + i * 16 * kSpan * 2, kSpanBytes), add || i > 0);
    commit_products();
  }

  /// Minus infinity for pairs that a row does not see.
  __device__ __forceinline__ void mask(const Problem& p, int first, int second) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int token = tokens[half];
      const bool sees_first = first <= token && first > token - p.window1;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int side = 0; side < 2; ++side) {
          const int key = second + n * 8 + threadIdx.x % 4 * 2 + side;
          if (!sees_first || key > token || key <= token - p.window2)
            scores[n][2 * half + side] = -INFINITY;
        }
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
      const float base = base_of(now) * scale;
      shrink[half] = power_of_2(largest[half] * scale - base);
      largest[half] = now;
      totals[half] *= shrink[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          scores[n][e] = power_of_2(scores[n][e] * scale - base);
          totals[half] += scores[n][e];  // of this thread's pairs; added up at the end
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

  __device__ void store(const Rows& rows, int first) {
    const int lane = threadIdx.x % 32;
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      totals[half] += __shfl_xor_sync(~0u, totals[half], 1);
      totals[half] += __shfl_xor_sync(~0u, totals[half], 2);
      const int row = first + lane / 4 + half * 8;
      if (row >= rows.count) continue;
      const Problem& p = rows.p;
      const float inverse = 1 / totals[half];
      __nv_bfloat16* o = p.o + rows.of_query(row, kDim) + lane % 4 * 2;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<unsigned*>(o + d * 8) =
            rounded_pair(sums[d][2 * half] * inverse, sums[d][2 * half + 1] * inverse);
      if (lane % 4 == 0)
        p.lse[(static_cast<long long>(rows.b) * p.heads + rows.head(row)) * p.length +
              tokens[half]] = kLn2 * (largest[half] * scale + log2f(totals[half]));
    }
  }
};

__device__ __forceinline__ void consume(const Memory& memory, const Rows& rows, int block_row) {
  const int lane = threadIdx.x % 32, own = block_row + (threadIdx.x / 32 - 4) * 16;
  const int oldest = rows.token(min(own, rows.count - 1));
  const int newest = rows.token(min(own + 16, rows.count) - 1);
  const auto mask = [&](Attention& attention, const Pairs& pairs) {
    const Problem& p = rows.p;
    if (pairs.first > oldest || pairs.first <= newest - p.window1 ||
        pairs.second + kKeys - 1 > oldest || pairs.second <= newest - p.window2)
      attention.mask(p, pairs.first, pairs.second);
  };
  const auto release = [&](int stage) {
    if (lane == 0) arrive(memory.empty(stage));
  };

  Attention attention;
  attention.load(rows, own);
  Pairs pairs(rows, block_row);
  Turn scores, sums;  // the stages of the next scores, of the next sums
  wait(memory.full(scores.stage), scores.parity);
  attention.start_scores(memory.keys(scores.stage));
  wait_for_products<0>();
  settle(attention.scores);
  scores.advance();
  mask(attention, pairs);
  attention.weigh();
  attention.round_weights();
  bool add = false;
  pairs.advance();
  if (pairs.left()) wait(memory.full(scores.stage), scores.parity);
  while (pairs.left()) {
    attention.start_scores(memory.keys(scores.stage));
    attention.start_sums(memory.values(sums.stage), add);
    add = true;
    wait_for_products<1>();  // for the scores
    settle(attention.scores);
    scores.advance();
    mask(attention, pairs);
    attention.weigh();
    settle(attention.scores);
    // Here, so that there is a branch between the weights and the wait for the sums: the assembler
    // would put that wait first, and all of the above behind it.
    pairs.advance();
    if (pairs.left()) wait(memory.full(scores.stage), scores.parity);
    wait_for_products<0>();  // for the sums
    settle(attention.sums);
    settle(attention.weights);
    release(sums.stage);
    sums.advance();
    if (__any_sync(~0u, attention.shrink[0] != 1 || attention.shrink[1] != 1))
      attention.shrink_sums();
    attention.round_weights();
  }
  attention.start_sums(memory.values(sums.stage), add);
  wait_for_products<0>();
  settle(attention.sums);
  attention.store(rows, own);
}

#endif

__global__ void __launch_bounds__(kThreads, 1) attend(const Problem p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t barriers[2 * kStages];
  const Memory memory{(shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes,
                      shared_address(barriers)};
  const Rows rows(p, blockIdx.z, blockIdx.y);
  const int block_row = (gridDim.x - 1 - blockIdx.x) * kRows;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      create_barrier(memory.full(stage), 128);
      create_barrier(memory.empty(stage), kConsumers * 4);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 104;");
    produce(memory, rows, block_row);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 200;");
    consume(memory, rows, block_row);
  }
#endif
}

/// The kernel above has no barriers where it was built without a body.
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, attend) == cudaSuccess &&
         attributes.sharedSizeBytes > 0;
}

void launch(const Problem& p, int batch, cudaStream_t stream) {
  const int rows = p.length * (p.heads / p.kv_heads);
  cudaFuncSetAttribute(attend, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  attend<<<dim3((rows + kRows - 1) / kRows, p.kv_heads, batch), kThreads, kSharedBytes, stream>>>(
      p);
}

}  // namespace hopper

namespace portable {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = 16 * kWarps;
constexpr int kKeys = 64;  // second keys of a tile

__device__ void copy_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 16 : 0)
               : "memory");
}
__device__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
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
template <int kDim>
struct Tile {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kBytes = kKeys * kDim * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    constexpr int kPermuted = kChunks < 8 ? kChunks : 8;
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % kPermuted))) * 16;
  }
  static __device__ void fill(unsigned base, const Rows& rows, int first, int end) {
#pragma unroll
    for (int i = 0; i < kKeys * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const bool inside = first + row < end;
      const long long at = inside ? rows.of_key(first + row, kDim) + chunk * 8 : 0;
      copy_async(base + offset_bytes(row, chunk), rows.p.k2 + at, inside);
      copy_async(base + kBytes + offset_bytes(row, chunk), rows.p.v2 + at, inside);
    }
  }
};

/// Rows lane / 4 and lane / 4 + 8 of a warp.
template <int kDim>
struct Attention {
  unsigned queries[kDim / 16][4];
  float sums[kDim / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, weights[2] = {0, 0};
  int tokens[2];  // -1: no such row

  __device__ void load(const Rows& rows, int first) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first + lane / 4 + half * 8;
      tokens[half] = row < rows.count ? rows.token(row) : -1;
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
        for (int side = 0; side < 2; ++side)
          queries[i][half + 2 * side] = row < rows.count
                                            ? load_pair(rows.p.q + rows.of_query(row, kDim) +
                                                        i * 16 + lane % 4 * 2 + side * 8)
                                            : 0;
    }
  }

  /// All pairs of first key j with the second keys of a tile.
  __device__ void add(const Rows& rows, unsigned tile, int j, int first_key) {
    const int lane = threadIdx.x % 32;
    const __nv_bfloat16* k1 = rows.p.k1 + rows.of_key(j, kDim) + lane % 4 * 2;
    const __nv_bfloat16* v1 = rows.p.v1 + rows.of_key(j, kDim) + lane % 4 * 2;
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      const unsigned low = load_pair(k1 + i * 16), high = load_pair(k1 + i * 16 + 8);
      const unsigned a[4] = {multiply_pairs(queries[i][0], low), multiply_pairs(queries[i][1], low),
                             multiply_pairs(queries[i][2], high),
                             multiply_pairs(queries[i][3], high)};
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        unsigned b[4];
        load_matrices(b, tile + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                         i * 2 + lane / 8 % 2));
        multiply_add(scores[2 * n], a, b[0], b[1]);
        multiply_add(scores[2 * n + 1], a, b[2], b[3]);
      }
    }
    mask(rows.p, scores, j, first_key);
    weigh(scores);
    unsigned a[kKeys / 16][4];
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        a[n / 2][n % 2 * 2 + half] = rounded_pair(scores[n][2 * half], scores[n][2 * half + 1]);
#pragma unroll
    for (int d = 0; d < kDim / 16; ++d) {
      float products[2][4] = {};
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        unsigned b[4];
        load_matrices_transposed(
            b, tile + Tile<kDim>::kBytes +
                   Tile<kDim>::offset_bytes(n * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(products[0], a[n], b[0], b[1]);
        multiply_add(products[1], a[n], b[2], b[3]);
      }
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        const float2 value = widened_pair(load_pair(v1 + d * 16 + side * 8));
#pragma unroll
        for (int e = 0; e < 4; ++e)
          sums[2 * d + side][e] += products[side][e] * (e % 2 == 0 ? value.x : value.y);
      }
    }
  }

  /// Scores in exponents of 2; minus infinity for pairs that a row does not see.
  __device__ void mask(const Problem& p, float (&scores)[kKeys / 8][4], int j,
                       int first_key) const {
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int token = tokens[half];
      const bool sees_first = j <= token && j > token - p.window1;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int side = 0; side < 2; ++side) {
          const int key = first_key + n * 8 + threadIdx.x % 4 * 2 + side;
          float& score = scores[n][2 * half + side];
          score = sees_first && key <= token && key > token - p.window2 ? score * scale : -INFINITY;
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
      const float base = base_of(now), shrink = exp2f(largest[half] - base);
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

  __device__ void store(const Rows& rows, int first) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      weights[half] += __shfl_xor_sync(~0u, weights[half], 1);
      weights[half] += __shfl_xor_sync(~0u, weights[half], 2);
      const int row = first + lane / 4 + half * 8;
      if (row >= rows.count) continue;
      const Problem& p = rows.p;
      __nv_bfloat16* o = p.o + rows.of_query(row, kDim) + lane % 4 * 2;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<unsigned*>(o + d * 8) =
            rounded_pair(sums[d][2 * half] / weights[half], sums[d][2 * half + 1] / weights[half]);
      if (lane % 4 == 0)
        p.lse[(static_cast<long long>(rows.b) * p.heads + rows.head(row)) * p.length +
              tokens[half]] = kLn2 * (largest[half] + log2f(weights[half]));
    }
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) attend(const Problem p) {
  __shared__ __align__(128) unsigned char shared[2 * Tile<kDim>::kBytes];
  const unsigned tile = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const Rows rows(p, blockIdx.z, blockIdx.y);
  const int block_row = blockIdx.x * kRows, own = block_row + threadIdx.x / 32 * 16;
  const int begin = max(0, rows.token(block_row) - p.window2 + 1);
  const int end = rows.token(min(block_row + kRows, rows.count) - 1) + 1;
  Attention<kDim> attention;
  attention.load(rows, own);
  for (int first_key = begin; first_key < end; first_key += kKeys) {
    Tile<kDim>::fill(tile, rows, first_key, end);
    wait_for_copies();
    __syncthreads();
    if (own < rows.count) {
      const int first_token = rows.token(own);
      const int last_token = rows.token(min(own + 16, rows.count) - 1);
      if (first_key <= last_token && first_key + kKeys > first_token - p.window2 + 1)
        for (int j = max(0, first_token - p.window1 + 1); j <= last_token; ++j)
          attention.add(rows, tile, j, first_key);
    }
    __syncthreads();  // the tile may be filled again
  }
  attention.store(rows, own);
}

template <int kDim>
void launch(const Problem& p, int batch, cudaStream_t stream) {
  const int rows = p.length * (p.heads / p.kv_heads);
  attend<kDim><<<dim3((rows + kRows - 1) / kRows, p.kv_heads, batch), kThreads, 0, stream>>>(p);
}

}  // namespace portable

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k1, const __nv_bfloat16* k2,
                      const __nv_bfloat16* v1, const __nv_bfloat16* v2, __nv_bfloat16* o,
                      float* lse, int batch, int length, int heads, int kv_heads, int dim,
                      int window1, int window2, cudaStream_t stream) {
  const bool swapped = window1 > window2;
  const Problem p{q,
                  swapped ? k2 : k1,
                  swapped ? k1 : k2,
                  swapped ? v2 : v1,
                  swapped ? v1 : v2,
                  o,
                  lse,
                  length,
                  heads,
                  kv_heads,
                  min(window1, window2),
                  max(window1, window2)};
  if (dim == 16)
    portable::launch<16>(p, batch, stream);
  else if (dim == 64)
    portable::launch<64>(p, batch, stream);
  else if (hopper::built())
    hopper::launch(p, batch, stream);
  else
    portable::launch<128>(p, batch, stream);
}
