// Specialist: 64 queries a block, 16 a warp, kept in registers as fragments of mma.sync. Their keys
// are numbered through: first the retained tokens that the last of the queries may see (places
// ascend, so they are a prefix of the list, found by bisection), then the tokens of all their
// windows. Tiles of 64 arrive by cp.async, one ahead; only tiles at an edge (of the list, the
// window, the diagonal) are masked. Scores stay in registers and become the left operand of the
// second product.
#include <cuda_bf16.h>

namespace {

using Element = __nv_bfloat16;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;
constexpr int kTokens = 64;  // keys of a tile
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

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
__device__ float base_of(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

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
  int length, heads, kv_heads, dim, window, kept;
};

/// The keys of a block of queries: retained tokens that any of them may see, filled up to whole
/// tiles, then the tokens from the first query's window to the last query.
struct Keys {
  const Problem& p;
  int b, h, head, first_query;
  int retained, padded;  // padded to tiles
  int first_token, last_query;
  const int* idx;

  __device__ Keys(const Problem& problem, int sequence, int query_head, int query)
      : p(problem),
        b(sequence),
        h(query_head),
        head(query_head / (problem.heads / problem.kv_heads)),
        first_query(query) {
    idx = p.idx + (static_cast<long long>(b) * p.kv_heads + head) * p.kept;
    last_query = min(query + kQueries, p.length) - 1;
    int low = 0, high = p.cnt[b * p.kv_heads + head];  // idx ascends
    while (low < high) {
      const int middle = (low + high) / 2;
      if (idx[middle] <= last_query - p.window)
        low = middle + 1;
      else
        high = middle;
    }
    retained = low;
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
void launch(const Problem& p, int batch, cudaStream_t stream) {
  constexpr int kBytes = 4 * Tile<kDim>::kBytes;
  cudaFuncSetAttribute(attention<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const dim3 grid((p.length + kQueries - 1) / kQueries, p.heads, batch);
  attention<kDim><<<grid, kThreads, kBytes, stream>>>(p);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const __nv_bfloat16* kp, const __nv_bfloat16* vp, const int* idx,
                      const int* cnt, __nv_bfloat16* o, float* lse, int batch, int length,
                      int heads, int kv_heads, int dim, int window, int kept, cudaStream_t stream) {
  const Problem p{q, k, v, kp, vp, idx, cnt, o, lse, length, heads, kv_heads, dim, window, kept};
  if (dim == 64)
    launch<64>(p, batch, stream);
  else
    launch<128>(p, batch, stream);
}
