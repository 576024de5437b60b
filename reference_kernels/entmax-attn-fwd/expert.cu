// Specialist: 64 queries a block, 16 a warp, kept in registers as fragments of mma.sync. A first
// sweep over tiles of 64 keys, from the last one back, finds each row's largest z and notes the
// tiles with an entry above the largest so far less 1: no other can count. A second one, over noted
// tiles, collects each row's entries that can, a few dozen as a rule, where the values of tiles
// will lie later; Newton's iteration from below then needs no more than these. Rows with more than
// fit let their block recompute scores of noted tiles for each step instead; tau only rises, so
// that a tile that no longer counts for any row is struck off. The last sweep, over what is left,
// forms weights and meets the values; there is no running maximum and no exponential. Tiles arrive
// by cp.async one ahead.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;
constexpr int kTokens = 64;  // keys of a tile
constexpr int kMostSteps = 60;

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

template <int kDim>
struct Tile {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kBytes = kTokens * kDim * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  static __device__ void fill(unsigned base, const __nv_bfloat16* rows, int first, int count) {
#pragma unroll
    for (int i = 0; i < kTokens * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const bool inside = first + row < count;
      copy_async(base + offset_bytes(row, chunk),
                 rows + static_cast<long long>(inside ? first + row : 0) * kDim + chunk * 8,
                 inside);
    }
  }
};

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ k;
  const __nv_bfloat16* __restrict__ v;
  const int* __restrict__ lengths;
  __nv_bfloat16* __restrict__ o;
  float* __restrict__ tau;
  int heads, length, causal;
};

/// Tiles of keys that can still count, one bit each, in shared memory: those noted by the last
/// sweep and, written by one thread alone, those noted by this one.
struct Noted {
  unsigned *words, *next;

  __device__ bool has(int tile) const { return words[tile / 32] >> (tile % 32) & 1; }
  __device__ int before(int tile) const {  // the last noted one before, or -1
    do --tile;
    while (tile >= 0 && !has(tile));
    return tile;
  }
};

template <int kOrder>
__device__ float power(float above) {
  return kOrder == 1 ? above : kOrder == 2 ? above * above : above * above * above;
}
template <int kOrder>
__device__ float slope_of_power(float above) {
  return kOrder == 1 ? 1.0f : kOrder == 2 ? 2 * above : 3 * above * above;
}

/// The rows lane / 4 and lane / 4 + 8 of a warp's 16 queries.
template <int kDim, int kOrder>
struct Rows {
  using Scores = float[kTokens / 8][4];
  unsigned queries[kDim / 16][4];
  int first, keys, causal;

  __device__ void load(const __nv_bfloat16* q) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int row = first + lane / 4 + part % 2 * 8;
        const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
        queries[i][part] = row < keys ? *reinterpret_cast<const unsigned*>(
                                            q + static_cast<long long>(row) * kDim + column)
                                      : 0;
      }
  }

  /// z of a tile; -inf where a query must not look.
  __device__ void score(unsigned tile, int first_key, Scores& z) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (auto& part : z) part[0] = part[1] = part[2] = part[3] = 0;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int n = 0; n < kTokens / 16; ++n) {
        unsigned b[4];
        load_matrices(b, tile + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                         i * 2 + lane / 8 % 2));
        multiply_add(z[2 * n], queries[i], b[0], b[1]);
        multiply_add(z[2 * n + 1], queries[i], b[2], b[3]);
      }
    const float scale = rsqrtf(static_cast<float>(kDim)) / kOrder;
    const bool inner = first_key + kTokens <= keys && first + 16 <= keys &&
                       (!causal || first_key + kTokens - 1 <= first);
    if (inner) {
#pragma unroll
      for (auto& part : z)
#pragma unroll
        for (float& entry : part) entry *= scale;
      return;
    }
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = first_key + n * 8 + lane % 4 * 2 + e % 2;
        const int query = first + lane / 4 + e / 2 * 8;
        const bool allowed = key < keys && query < keys && (!causal || key <= query);
        z[n][e] = allowed ? z[n][e] * scale : -INFINITY;
      }
  }
};

/// Entries of a row that can have a weight, in the halves of the stages that are for values.
template <int kDim>
struct Candidates {
  static constexpr int kMost =
      Tile<kDim>::kBytes / (kQueries / 2) / static_cast<int>(sizeof(float));
  float* entries;
  int* count;

  __device__ Candidates(unsigned char* stages, int* counts, int row)
      : entries(
            reinterpret_cast<float*>(stages + (1 + row / (kQueries / 2) * 2) * Tile<kDim>::kBytes) +
            row % (kQueries / 2) * kMost),
        count(counts + row) {}
  /// Those of this thread's entries of a tile that are larger than `least`; whether there are any.
  template <int kHalf>
  __device__ bool add(const float (&z)[kTokens / 8][4], float least) const {
    int own = 0;
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
      for (int e = 2 * kHalf; e < 2 * kHalf + 2; ++e) own += z[n][e] > least;
    if (own == 0) return false;
    int at = atomicAdd(count, own);
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
      for (int e = 2 * kHalf; e < 2 * kHalf + 2; ++e) {
        const bool counts = z[n][e] > least;
        if (counts && at < kMost) entries[at] = z[n][e];
        at += counts;
      }
    return true;
  }
};

__device__ float largest_of_four_lanes(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
__device__ float sum_of_four_lanes(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

template <int kDim, int kOrder>
__global__ void __launch_bounds__(kThreads) attention(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ int counts[kQueries];  // of candidates
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int noted_words = p.length / kTokens / 32 + 1;
  Noted noted;
  noted.words = reinterpret_cast<unsigned*>(shared + 4 * Tile<kDim>::kBytes);
  noted.next = noted.words + noted_words;
  const int block = gridDim.x - 1 - blockIdx.x, lane = threadIdx.x % 32;
  const long long head = (static_cast<long long>(blockIdx.z) * p.heads + blockIdx.y) * p.length;
  Rows<kDim, kOrder> rows;
  rows.keys = p.lengths[blockIdx.z];
  rows.causal = p.causal;
  rows.first = block * kQueries + threadIdx.x / 32 * 16;
  rows.load(p.q + head * kDim);
  const int end = p.causal ? min(block * kQueries + kQueries, rows.keys) : rows.keys;
  const int tiles = block * kQueries < rows.keys ? (end + kTokens - 1) / kTokens : 0;
  for (int w = threadIdx.x; w < noted_words; w += kThreads) noted.words[w] = ~0u;
  if (threadIdx.x < kQueries) counts[threadIdx.x] = 0;
  __syncthreads();

  // Calls use(z, address of the tile's values) for the noted tiles, from the last one back, and
  // strikes off those for which no thread answers true.
  const auto sweep = [&](bool with_values, auto&& use) {
    const auto fill = [&](int tile, int stage) {
      const unsigned target = base + stage * 2 * Tile<kDim>::kBytes;
      Tile<kDim>::fill(target, p.k + head * kDim, tile * kTokens, rows.keys);
      if (with_values)
        Tile<kDim>::fill(target + Tile<kDim>::kBytes, p.v + head * kDim, tile * kTokens, rows.keys);
    };
    if (threadIdx.x == 0)
      for (int w = 0; w < noted_words; ++w) noted.next[w] = 0;
    int tile = noted.before(tiles), stage = 0;
    if (tile >= 0) fill(tile, stage);
    commit_copies();
    while (tile >= 0) {
      const int next = noted.before(tile);
      if (next >= 0) fill(next, 1 - stage);
      commit_copies();
      wait_for_copies<1>();
      __syncthreads();
      float z[kTokens / 8][4];
      const unsigned keys = base + stage * 2 * Tile<kDim>::kBytes;
      rows.score(keys, tile * kTokens, z);
      const bool counts = __syncthreads_or(use(z, keys + Tile<kDim>::kBytes));
      if (counts && threadIdx.x == 0) noted.next[tile / 32] |= 1u << (tile % 32);
      tile = next;
      stage = 1 - stage;
    }
    wait_for_copies<0>();
    __syncthreads();
    unsigned* const read = noted.words;
    noted.words = noted.next;
    noted.next = read;
  };

  float largest[2] = {-INFINITY, -INFINITY};
  sweep(false, [&](auto& z, unsigned) {
    bool counts_here = false;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float of_tile = -INFINITY;
#pragma unroll
      for (auto& part : z) of_tile = fmaxf(of_tile, fmaxf(part[2 * half], part[2 * half + 1]));
      of_tile = largest_of_four_lanes(of_tile);
      largest[half] = fmaxf(largest[half], of_tile);
      counts_here |= of_tile > largest[half] - 1;
    }
    return counts_here;
  });

  const int row_of_block = threadIdx.x / 32 * 16 + lane / 4;
  const Candidates<kDim> candidates[2] = {{shared, counts, row_of_block},
                                          {shared, counts, row_of_block + 8}};
  sweep(false, [&](auto& z, unsigned) {
    const bool upper = candidates[0].template add<0>(z, largest[0] - 1);
    return candidates[1].template add<1>(z, largest[1] - 1) || upper;
  });

  float tau[2] = {-1, -1};  // less the largest
  // A step of Newton's iteration; whether tau moved.
  const auto improve = [&](const float(&shares)[2], const float(&slopes)[2]) {
    bool moved = false;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float change = (sum_of_four_lanes(shares[half]) - 1) / sum_of_four_lanes(slopes[half]);
      if (!(change > 1e-6f)) continue;
      tau[half] += change;
      moved = true;
    }
    return moved;
  };
  const bool too_many = max(*candidates[0].count, *candidates[1].count) > Candidates<kDim>::kMost;
  if (!__syncthreads_or(too_many)) {
    for (int step = 0; step < kMostSteps; ++step) {
      float shares[2] = {}, slopes[2] = {};
#pragma unroll
      for (int half = 0; half < 2; ++half)
        for (int i = lane % 4; i < *candidates[half].count; i += 4) {
          const float above = candidates[half].entries[i] - largest[half] - tau[half];
          if (!(above > 0)) continue;
          shares[half] += power<kOrder>(above);
          slopes[half] += slope_of_power<kOrder>(above);
        }
      if (!__any_sync(~0u, improve(shares, slopes))) break;
    }
    __syncthreads();  // values may be written over candidates
  } else {
    for (int step = 0; step < kMostSteps; ++step) {
      float shares[2] = {}, slopes[2] = {};
      sweep(false, [&](auto& z, unsigned) {
        bool counts_here = false;
#pragma unroll
        for (auto& part : z)
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            const float above = part[e] - largest[e / 2] - tau[e / 2];
            if (!(above > 0)) continue;
            counts_here = true;
            shares[e / 2] += power<kOrder>(above);
            slopes[e / 2] += slope_of_power<kOrder>(above);
          }
        return counts_here;
      });
      if (!__syncthreads_or(improve(shares, slopes))) break;
    }
  }

  float sums[kDim / 8][4] = {};
  sweep(true, [&](auto& z, unsigned values) {
    bool counts_here = false;
#pragma unroll
    for (auto& part : z)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float above = part[e] - largest[e / 2] - tau[e / 2];
        counts_here |= above > 0;
        part[e] = above > 0 ? power<kOrder>(above) : 0.0f;
      }
    if (!__any_sync(~0u, counts_here)) return true;
#pragma unroll
    for (int n = 0; n < kTokens / 16; ++n) {
      const unsigned a[4] = {rounded_pair(z[2 * n][0], z[2 * n][1]),
                             rounded_pair(z[2 * n][2], z[2 * n][3]),
                             rounded_pair(z[2 * n + 1][0], z[2 * n + 1][1]),
                             rounded_pair(z[2 * n + 1][2], z[2 * n + 1][3])};
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        unsigned b[4];
        load_matrices_transposed(
            b, values + Tile<kDim>::offset_bytes(n * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(sums[2 * d], a, b[0], b[1]);
        multiply_add(sums[2 * d + 1], a, b[2], b[3]);
      }
    }
    return true;
  });

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = rows.first + lane / 4 + half * 8;
    if (row >= p.length) continue;
#pragma unroll
    for (int d = 0; d < kDim / 8; ++d)
      *reinterpret_cast<unsigned*>(p.o + (head + row) * kDim + d * 8 + lane % 4 * 2) =
          rounded_pair(sums[d][2 * half], sums[d][2 * half + 1]);
    if (lane % 4 == 0) p.tau[head + row] = row < rows.keys ? largest[half] + tau[half] : 0.0f;
  }
}

template <int kDim, int kOrder>
void launch(const Problem& p, int batch, cudaStream_t stream) {
  const int bytes = 4 * Tile<kDim>::kBytes + (p.length / kTokens / 32 + 1) * 8;
  cudaFuncSetAttribute(attention<kDim, kOrder>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  const dim3 grid((p.length + kQueries - 1) / kQueries, p.heads, batch);
  attention<kDim, kOrder><<<grid, kThreads, bytes, stream>>>(p);
}

template <int kDim>
void launch_order(const Problem& p, int batch, int order, cudaStream_t stream) {
  if (order == 1)
    launch<kDim, 1>(p, batch, stream);
  else if (order == 2)
    launch<kDim, 2>(p, batch, stream);
  else
    launch<kDim, 3>(p, batch, stream);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* lengths, __nv_bfloat16* o, float* tau, int batch, int heads,
                      int length, int dim, int order, int causal, cudaStream_t stream) {
  const Problem p{q, k, v, lengths, o, tau, heads, length, causal};
  if (dim == 64)
    launch_order<64>(p, batch, order, stream);
  else
    launch_order<128>(p, batch, order, stream);
}
