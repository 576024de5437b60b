// Specialist: one pass over chunks of 16 tokens. A block has one head and 64 or 128 columns of the
// values; the state, transposed, stays in the f32 accumulators of its warps, 16 columns each. The
// layout of an accumulator is that of a right operand, so the state, rounded to bf16, meets the
// next queries without passing through memory. Chunks arrive by cp.async in a ring of four stages.
//
// Heads are few and their chunks follow one another, so that the time of a chunk is what counts.
// While a chunk meets the state, the next one is decayed, 4 tokens of two channels a thread, and
// one barrier a chunk separates the two. With G the sum of the log decays since the chunk's start,
// the decay from key s to query t is e^G[t] e^-G[s]. That is a product of matrices as long as e^-G
// stays in the range of f32, which is bf16's, too: then each warp makes all scores of the chunk
// anew, which become the left operand of their product with the values without leaving registers.
// Chunks that decay more, as they do with resets, take their scores element by element, from
// exponentials of differences.
#include <cuda_bf16.h>

namespace {

constexpr int kTokens = 16;  // of a chunk
constexpr int kStages = 4;
constexpr int kRun = 4;  // consecutive tokens that one thread decays
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kMostDecay = 100;  // of a chunk, in exponents of 2, that is taken as a product

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
__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

__device__ float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 16 rows of bf16 in shared memory, chunks of 8 elements permuted.
template <int kWidth>
struct Tile {
  static constexpr int kBytes = kTokens * kWidth * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * (kWidth / 8) + (chunk ^ (row % 8))) * 16;
  }
  /// Offset of a pair of elements.
  static __device__ unsigned pair_bytes(int row, int pair) {
    return offset_bytes(row, pair / 4) + pair % 4 * 4;
  }
};

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ k;
  const __nv_bfloat16* __restrict__ v;
  const float* __restrict__ g;
  const float* __restrict__ h0;
  __nv_bfloat16* __restrict__ o;
  float* __restrict__ ht;
  int length, heads, keys, values;
};

/// Shared memory of a block: kKeys and kColumns are paddings of keys and of a slice of the values.
template <int kKeys, int kColumns>
struct Layout {
  static constexpr int kThreads = 2 * kColumns;  // a warp for 16 columns
  // Of a stage.
  static constexpr int kQueries = 0;
  static constexpr int kOfKeys = kQueries + Tile<kKeys>::kBytes;
  static constexpr int kOfValues = kOfKeys + Tile<kKeys>::kBytes;
  static constexpr int kDecays = kOfValues + Tile<kColumns>::kBytes;
  static constexpr int kStageBytes = kDecays + kTokens * kKeys * 4;
  // Of a decayed chunk: queries and keys since the chunk's start, keys up to its end, its decay.
  static constexpr int kFadedQueries = 0;
  static constexpr int kGrownKeys = kFadedQueries + Tile<kKeys>::kBytes;
  static constexpr int kFadedKeys = kGrownKeys + Tile<kKeys>::kBytes;
  static constexpr int kFade = kFadedKeys + Tile<kKeys>::kBytes;
  static constexpr int kFadedBytes = kFade + kKeys * 4;

  static constexpr int kFaded = kStages * kStageBytes;
  static constexpr int kSums = kFaded + 2 * kFadedBytes;
  static constexpr int kScores = kSums + kTokens * kKeys * 4;
  static constexpr int kBytes = kScores + kTokens * kTokens * 2;

  static __device__ int stage(int chunk) { return chunk % kStages * kStageBytes; }
  static __device__ int faded(int chunk) { return kFaded + chunk % 2 * kFadedBytes; }
  /// Offset of four log decays; those of runs of tokens lie in different banks.
  static __device__ int decay_bytes(int row, int quad) {
    return kDecays + (row * (kKeys / 4) + (quad ^ (row / kRun * 4))) * 16;
  }
};

template <int kKeys, int kColumns>
struct Block {
  using L = Layout<kKeys, kColumns>;
  const Problem& p;
  unsigned char* shared;
  unsigned base;
  long long row;  // of the first token's head
  int first_column;

  __device__ void fill(int chunk) const {
    const unsigned stage = base + L::stage(chunk);
    fill_tile<kKeys>(stage + L::kQueries, p.q, p.keys, 0, chunk);
    fill_tile<kKeys>(stage + L::kOfKeys, p.k, p.keys, 0, chunk);
    fill_tile<kColumns>(stage + L::kOfValues, p.v, p.values, first_column, chunk);
#pragma unroll
    for (int i = 0; i < kTokens * kKeys / 4 / L::kThreads; ++i) {
      const int index = threadIdx.x + i * L::kThreads;
      const int r = index / (kKeys / 4), quad = index % (kKeys / 4);
      const int token = chunk * kTokens + r, d = quad * 4;
      const bool inside = token < p.length && d < p.keys;
      copy_async(stage + L::decay_bytes(r, quad),
                 p.g + (inside ? (row + static_cast<long long>(token) * p.heads) * p.keys + d : 0),
                 inside);
    }
  }
  template <int kWidth>
  __device__ void fill_tile(unsigned target, const __nv_bfloat16* matrix, int width, int column,
                            int chunk) const {
#pragma unroll
    for (int i = 0; i < kTokens * kWidth / 8 / L::kThreads; ++i) {
      const int index = threadIdx.x + i * L::kThreads;
      const int r = index / (kWidth / 8), c = index % (kWidth / 8), token = chunk * kTokens + r;
      const bool inside = token < p.length && column + c * 8 < width;
      const long long at = (row + static_cast<long long>(token) * p.heads) * width + column + c * 8;
      copy_async(target + Tile<kWidth>::offset_bytes(r, c), matrix + (inside ? at : 0), inside);
    }
  }

  __device__ float2 pair(int tile, int r, int index) const {
    return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(
        shared + tile + Tile<kKeys>::pair_bytes(r, index)));
  }
  __device__ void set_pair(int tile, int r, int index, float2 to) const {
    *reinterpret_cast<unsigned*>(shared + tile + Tile<kKeys>::pair_bytes(r, index)) =
        rounded_pair(to.x, to.y);
  }
  /// Logarithms of two decays, to the base 2.
  __device__ float2 decays(int stage, int r, int index) const {
    const float2 g = *reinterpret_cast<const float2*>(shared + stage +
                                                      L::decay_bytes(r, index / 2) + index % 2 * 8);
    return make_float2(g.x * kLog2e, g.y * kLog2e);
  }
  __device__ float2& sum(int r, int index) const {
    return *reinterpret_cast<float2*>(shared + L::kSums + (r * (kKeys / 2) + index) * 8);
  }

  /// Decays a chunk. A warp has 8 pairs of channels at a time, 8 lanes the same run of tokens.
  /// Whether a channel of this thread decays too much for a product.
  __device__ bool fade(int chunk) const {
    const int stage = L::stage(chunk), target = L::faded(chunk);
    const int lane = threadIdx.x % 32, first = lane / 8 * kRun;
    bool any_steep = false;
#pragma unroll
    for (int index = threadIdx.x / 32 * 8 + lane % 8; index < kKeys / 2;
         index += L::kThreads / 32 * 8) {
      float2 sums[kRun], run = make_float2(0, 0);
#pragma unroll
      for (int j = 0; j < kRun; ++j) {
        const float2 g = decays(stage, first + j, index);
        run.x += g.x;
        run.y += g.y;
        sums[j] = run;
      }
#pragma unroll
      for (int distance = 8; distance < 32; distance *= 2) {
        const float x = __shfl_up_sync(~0u, run.x, distance);
        const float y = __shfl_up_sync(~0u, run.y, distance);
        if (lane < distance) continue;
        run.x += x;
        run.y += y;
      }
      const float2 total = make_float2(__shfl_sync(~0u, run.x, 24 + lane % 8),
                                       __shfl_sync(~0u, run.y, 24 + lane % 8));
      float2 before = make_float2(__shfl_up_sync(~0u, run.x, 8), __shfl_up_sync(~0u, run.y, 8));
      if (lane < 8) before = make_float2(0, 0);
      const float2 fade = make_float2(power_of_2(total.x), power_of_2(total.y));
      const bool steep = fminf(total.x, total.y) < -kMostDecay;
      any_steep |= steep;
#pragma unroll
      for (int j = 0; j < kRun; ++j) {
        const int r = first + j;
        const float2 now = make_float2(before.x + sums[j].x, before.y + sums[j].y);
        const float2 query = pair(stage + L::kQueries, r, index);
        const float2 key = pair(stage + L::kOfKeys, r, index);
        set_pair(target + L::kFadedQueries, r, index,
                 make_float2(query.x * power_of_2(now.x), query.y * power_of_2(now.y)));
        const float2 grown = make_float2(key.x * power_of_2(-now.x), key.y * power_of_2(-now.y));
        set_pair(target + L::kGrownKeys, r, index, grown);
        float2 faded = make_float2(grown.x * fade.x, grown.y * fade.y);
        if (steep)
          faded =
              make_float2(key.x * power_of_2(total.x - now.x), key.y * power_of_2(total.y - now.y));
        set_pair(target + L::kFadedKeys, r, index, faded);
      }
      if (lane < 8) *reinterpret_cast<float2*>(shared + target + L::kFade + index * 8) = fade;
    }
    return any_steep;
  }

  /// Sums of the log decays, a pair of channels a thread.
  __device__ void sum_decays(int stage) const {
    const int index = threadIdx.x;
    if (index >= kKeys / 2) return;
    float2 running = make_float2(0, 0);
    for (int r = 0; r < kTokens; ++r) {
      const float2 g = decays(stage, r, index);
      running.x += g.x;
      running.y += g.y;
      sum(r, index) = running;
    }
  }

  /// Scores of a query with the keys of its chunk up to its own; lanes begin at different elements
  /// so that they meet different banks.
  __device__ void score(int stage) const {
    for (int i = threadIdx.x; i < kTokens * kTokens; i += L::kThreads) {
      const int t = i / kTokens, s = i % kTokens;
      float total = 0;
      if (s <= t)
        for (int step = 0; step < kKeys / 2; ++step) {
          const int index = (step + threadIdx.x) % (kKeys / 2);
          const float2 query = pair(stage + L::kQueries, t, index);
          const float2 key = pair(stage + L::kOfKeys, s, index);
          const float2 later = sum(t, index), earlier = sum(s, index);
          total += query.x * key.x * power_of_2(later.x - earlier.x) +
                   query.y * key.y * power_of_2(later.y - earlier.y);
        }
      *reinterpret_cast<__nv_bfloat16*>(shared + L::kScores + i * 2) = __float2bfloat16(total);
    }
  }
};

template <int kKeys, int kColumns>
__global__ void __launch_bounds__(2 * kColumns) attention(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  using L = Layout<kKeys, kColumns>;
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first_column = blockIdx.x * kColumns;
  const long long of_state = (static_cast<long long>(b) * p.heads + h) * p.keys;
  const Block<kKeys, kColumns> block{
      p, shared, base, static_cast<long long>(b) * p.length * p.heads + h, first_column};
  const int chunks = (p.length + kTokens - 1) / kTokens;
  const float scale = rsqrtf(static_cast<float>(p.keys));
  // Element e of tile i of the state: row lane / 4 + 8 (e / 2) of the warp's columns of the values,
  // column 8 i + 2 (lane % 4) + e % 2 of the keys.
  const auto for_state = [&](auto&& use) {
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int column = first_column + warp * 16 + lane / 4 + e / 2 * 8;
        const int d = i * 8 + lane % 4 * 2 + e % 2;
        if (d < p.keys && column < p.values) use(i, e, (of_state + d) * p.values + column);
      }
  };
  float state[kKeys / 8][4] = {};
  for_state([&](int i, int e, long long at) { state[i][e] = p.h0[at]; });

#pragma unroll
  for (int chunk = 0; chunk < kStages - 1; ++chunk) {
    if (chunk < chunks) block.fill(chunk);
    commit_copies();
  }
  wait_for_copies<kStages - 2>();
  __syncthreads();
  bool steep = block.fade(0);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    wait_for_copies<kStages - 3>();
    // This chunk is decayed and the next has arrived; what the last one took may be overwritten.
    const bool by_element = __syncthreads_or(steep);
    if (chunk + kStages - 1 < chunks) block.fill(chunk + kStages - 1);
    commit_copies();
    if (chunk + 1 < chunks) steep = block.fade(chunk + 1);
    const int stage = L::stage(chunk), faded = L::faded(chunk);
    if (by_element) {
      block.sum_decays(stage);
      __syncthreads();
      block.score(stage);
      __syncthreads();
    }

    float sums[2][4] = {}, scores[2][4] = {};
    unsigned a[4], values[4];
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i) {
      unsigned keys[4];
      load_matrices(a, base + faded + L::kFadedQueries +
                           Tile<kKeys>::offset_bytes(lane % 16, i * 2 + lane / 16));
      load_matrices(keys,
                    base + faded + L::kGrownKeys +
                        Tile<kKeys>::offset_bytes(lane / 16 * 8 + lane % 8, i * 2 + lane / 8 % 2));
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        multiply_add(scores[n], a, keys[2 * n], keys[2 * n + 1]);
        multiply_add(sums[n], a, rounded_pair(state[2 * i][2 * n], state[2 * i][2 * n + 1]),
                     rounded_pair(state[2 * i + 1][2 * n], state[2 * i + 1][2 * n + 1]));
      }
    }
    if (by_element) {
      load_matrices(a, base + L::kScores + lane % 16 * (kTokens * 2) + lane / 16 * 16);
    } else {
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int t = lane / 4 + part % 2 * 8, s = lane % 4 * 2 + part / 2 * 8;
        const float* pair = &scores[part / 2][part % 2 * 2];
        a[part] = rounded_pair(s <= t ? pair[0] : 0.0f, s + 1 <= t ? pair[1] : 0.0f);
      }
    }
    load_matrices_transposed(values,
                             base + stage + L::kOfValues +
                                 Tile<kColumns>::offset_bytes(lane % 16, warp * 2 + lane / 16));
    multiply_add(sums[0], a, values[0], values[1]);
    multiply_add(sums[1], a, values[2], values[3]);
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int token = chunk * kTokens + lane / 4 + half * 8;
        const int column = first_column + warp * 16 + n * 8 + lane % 4 * 2;
        if (token < p.length && column < p.values)
          *reinterpret_cast<unsigned*>(
              p.o + (block.row + static_cast<long long>(token) * p.heads) * p.values + column) =
              rounded_pair(sums[n][2 * half] * scale, sums[n][2 * half + 1] * scale);
      }

    // The transposed right operand, with its middle parts exchanged, is the left operand.
    const unsigned transposed[4] = {values[0], values[2], values[1], values[3]};
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i) {
      const float2 fade =
          *reinterpret_cast<const float2*>(shared + faded + L::kFade + (i * 8 + lane % 4 * 2) * 4);
      state[i][0] *= fade.x;
      state[i][1] *= fade.y;
      state[i][2] *= fade.x;
      state[i][3] *= fade.y;
    }
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i) {
      unsigned keys[4];
      load_matrices_transposed(keys, base + faded + L::kFadedKeys +
                                         Tile<kKeys>::offset_bytes(lane % 16, i * 2 + lane / 16));
      multiply_add(state[2 * i], transposed, keys[0], keys[1]);
      multiply_add(state[2 * i + 1], transposed, keys[2], keys[3]);
    }
  }
  for_state([&](int i, int e, long long at) { p.ht[at] = state[i][e]; });
}

template <int kKeys, int kColumns>
void launch(const Problem& p, int batch, cudaStream_t stream) {
  using L = Layout<kKeys, kColumns>;
  cudaFuncSetAttribute(attention<kKeys, kColumns>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       L::kBytes);
  const dim3 grid((p.values + kColumns - 1) / kColumns, p.heads, batch);
  attention<kKeys, kColumns><<<grid, L::kThreads, L::kBytes, stream>>>(p);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const float* g, const float* h0, __nv_bfloat16* o, float* ht, int batch,
                      int length, int heads, int keys, int values, cudaStream_t stream) {
  const Problem p{q, k, v, g, h0, o, ht, length, heads, keys, values};
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (keys <= 64 && values <= 64)
    launch<64, 64>(p, batch, stream);
  else if (values <= 64 || 2 * batch * heads <= multiprocessors)
    launch<128, 64>(p, batch, stream);
  else
    launch<128, 128>(p, batch, stream);
}
