// Specialist: a block has 64 queries of a head, 16 a warp, and a share of the head's list; rows of
// keys and values are gathered by cp.async, 16 bytes a thread, one tile of 64 ahead. Scores stay in
// registers and become the left operand of the second product of mma.sync. Lists are cut into as
// many shares as fill the machine, so that long ones do not hold it up; a second kernel merges the
// shares with the partial result that was given.
#include <cuda_bf16.h>

namespace {

using Element = __nv_bfloat16;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;
constexpr int kTokens = 64;  // keys of a tile
constexpr float kLog2e = 1.4426950408889634f;

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
  const int* __restrict__ kidx;
  const int* __restrict__ klen;
  const float* __restrict__ o0;
  const float* __restrict__ m0;
  const float* __restrict__ l0;
  __nv_bfloat16* __restrict__ o;
  int own_queries, dim, length, most;
  float* sums;      // [heads][splits][queries][dim], relative to the split's maximum
  float2* moments;  // [heads][splits][queries]: maximum, in exponents of 2, and sum of weights
  int splits, tiles_of_split;
};

/// The keys of a head's list.
struct Keys {
  const Problem& p;
  int head, own_count;
  const int* list;

  __device__ Keys(const Problem& problem, int of_head, int)
      : p(problem),
        head(of_head),
        own_count(problem.klen[of_head]),
        list(problem.kidx + static_cast<long long>(of_head) * problem.most) {}
  __device__ int queries() const { return p.own_queries; }
  __device__ int count() const { return own_count; }
  __device__ const Element* query(int i) const {
    return p.q + (static_cast<long long>(head) * p.own_queries + i) * p.dim;
  }
  __device__ const Element* keys_of(int) const { return p.k; }
  __device__ const Element* values_of(int) const { return p.v; }
  /// First element of a key and value, -1 where there is none.
  __device__ long long row(int j) const {
    if (j >= own_count) return -1;
    return (static_cast<long long>(head) * p.length + __ldg(list + j)) * p.dim;
  }
  __device__ bool masked(int, int j) const { return j + kTokens > own_count; }
  __device__ bool allowed(int, int j) const { return j < own_count; }
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

/// One block a query and head, one thread an element.
__global__ void merge(const Problem p, int queries) {
  const int query = blockIdx.x, head = blockIdx.y, dim = blockDim.x, d = threadIdx.x;
  const long long given = static_cast<long long>(head) * queries + query;
  float largest = p.m0[given] * kLog2e;
  const long long first = static_cast<long long>(head) * p.splits * queries + query;
  for (int s = 0; s < p.splits; ++s)
    largest = fmaxf(largest, p.moments[first + static_cast<long long>(s) * queries].x);
  const float base = base_of(largest);
  float weights = p.l0[given] * exp2f(p.m0[given] * kLog2e - base);
  float sum = weights * p.o0[given * dim + d];
  for (int s = 0; s < p.splits; ++s) {
    const long long row = first + static_cast<long long>(s) * queries;
    const float2 of_split = p.moments[row];
    const float shrink = exp2f(of_split.x - base);
    weights += of_split.y * shrink;
    sum += p.sums[row * dim + d] * shrink;
  }
  p.o[given * dim + d] = __float2bfloat16(sum / weights);
}

template <int kDim>
void launch(Problem p, int heads, int queries, int keys, cudaStream_t stream) {
  const int blocks = (queries + kQueries - 1) / kQueries;
  const int tiles = (keys + kTokens - 1) / kTokens;
  const int most_splits = (1024 + blocks * heads - 1) / (blocks * heads);
  p.tiles_of_split = max((tiles + most_splits - 1) / most_splits, min(tiles, 8));
  p.tiles_of_split = max(p.tiles_of_split, 1);
  p.splits = max((tiles + p.tiles_of_split - 1) / p.tiles_of_split, 1);
  const size_t rows = static_cast<size_t>(heads) * p.splits * queries;
  cudaMallocAsync(reinterpret_cast<void**>(&p.sums), rows * kDim * sizeof(float), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&p.moments), rows * sizeof(float2), stream);
  constexpr int kBytes = 4 * Tile<kDim>::kBytes;
  cudaFuncSetAttribute(attend<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  attend<kDim><<<dim3(blocks, p.splits, heads), kThreads, kBytes, stream>>>(p);
  merge<<<dim3(queries, heads), kDim, 0, stream>>>(p, queries);
  cudaFreeAsync(p.moments, stream);
  cudaFreeAsync(p.sums, stream);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* kidx, const int* klen, const float* o0, const float* m0,
                      const float* l0, __nv_bfloat16* o, int heads, int queries, int dim,
                      int length, int most, cudaStream_t stream) {
  const Problem p{q,       k,   v,      kidx, klen,    o0,      m0, l0, o,
                  queries, dim, length, most, nullptr, nullptr, 0,  0};
  if (dim == 64)
    launch<64>(p, heads, queries, most, stream);
  else
    launch<128>(p, heads, queries, most, stream);
}
