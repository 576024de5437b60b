// Specialist: a first kernel turns parents into a bit mask of ancestors a node. A block has 64
// nodes of a head, 16 a warp, and a share of the keys: the prefix, unmasked, then the nodes,
// masked. Tiles of 64 arrive by cp.async, one ahead. Scores stay in registers and become the left
// operand of the second product of mma.sync. Keys are cut into as many shares as fill the machine;
// a last kernel merges them.
#include <cuda_fp16.h>

namespace {

using Element = __half;
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
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
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
  __device__ bool allowed(int query, int j) const {
    if (j < p.length) return true;
    const int node = j - p.length;
    return node <= query && query < p.nodes &&
           p.ancestors[query * p.words + node / 32] >> (node % 32) & 1;
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
  float largest = -INFINITY;
  const long long first = static_cast<long long>(head) * p.splits * queries + query;
  for (int s = 0; s < p.splits; ++s)
    largest = fmaxf(largest, p.moments[first + static_cast<long long>(s) * queries].x);
  const float base = base_of(largest);
  float weights = 0, sum = 0;
  for (int s = 0; s < p.splits; ++s) {
    const long long row = first + static_cast<long long>(s) * queries;
    const float2 of_split = p.moments[row];
    const float shrink = exp2f(of_split.x - base);
    weights += of_split.y * shrink;
    sum += p.sums[row * dim + d] * shrink;
  }
  p.o[(static_cast<long long>(query) * p.heads + head) * dim + d] = __float2half(sum / weights);
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
    launch<64>(p, heads, nodes, length + nodes, stream);
  else
    launch<128>(p, heads, nodes, length + nodes, stream);
  cudaFreeAsync(ancestors, stream);
}
