// Specialist: two products on tensor cores. The first has queries as rows and streams centroids,
// with a running maximum and denominator for each query; the second has centroids as rows and
// streams queries, so that each block owns its clusters and sums their weights in registers. Rows
// stay in registers, 32 a warp, since each fragment of the others that is read from shared memory
// then serves two products; tiles of 64 arrive by cp.async, one ahead. What a column adds to its
// scores, the logarithm of a size or of a denominator, comes with the tile and is -inf where there
// is no column, so that scores need no other test. Threads keep maxima of their own columns, joined
// once at the end. Centroids of few queries are cut into shares, whose denominators a small kernel
// joins. Bound by tensor cores, then by exponentials.
//
// A single query reads the centroids once, a group of lanes a centroid, 16 bytes a lane: scores
// wait in `avg` for the denominator. Decisions become a table of bits, which stays in the first
// cache while the mask reads labels, four at a time. Bound by memory.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 128;
constexpr int kStrips = 2;  // of 16 rows, a warp
constexpr int kRows = kStrips * 16 * kThreads / 32;
constexpr int kOthers = 64;  // rows of a streamed tile
constexpr int kPart = 32;    // of these, at once
constexpr float kLow = -1e30f;
constexpr float kLog2e = 1.4426950408889634f;

__device__ void copy_async(unsigned target, const void* source) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target), "l"(source) : "memory");
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
/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ centroids;
  const int* __restrict__ sizes;
  float* __restrict__ avg;
  int queries, clusters;
  int splits, tiles_of_split;  // of the centroids, in the first product; tiles of kOthers
  float2* moments;  // [heads][splits][queries]: maximum, in exponents of 2, and denominator
  float* lse;       // [heads][queries]: logarithm of the denominator, base 2
};

__device__ float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Row lane / 4 + 8 (e / 2) of a strip, column 8 n + 2 (lane % 4) + e % 2, is [strip][n][e].
using Products = float[kStrips][kPart / 8][4];

template <int kDim>
struct Product {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kBytes = kOthers * kDim * 2;

  unsigned rows[kStrips][kDim / 16][4];

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  /// Rows beyond the last one are the last one again.
  static __device__ void fill(unsigned base, const __nv_bfloat16* source, int first, int count) {
    constexpr int kAtOnce = kThreads / kChunks;
    const int row = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
#pragma unroll
    for (int i = 0; i < kOthers; i += kAtOnce)
      copy_async(
          base + offset_bytes(row + i, chunk),
          source + static_cast<long long>(min(first + row + i, count - 1)) * kDim + chunk * 8);
  }
  __device__ void load_rows(const __nv_bfloat16* source, int first, int count) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const int row = first + strip * 16 + lane / 4 + part % 2 * 8;
          const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
          rows[strip][i][part] = row < count
                                     ? *reinterpret_cast<const unsigned*>(
                                           source + static_cast<long long>(row) * kDim + column)
                                     : 0;
        }
  }
  /// Of this warp's rows with kPart columns of a tile.
  __device__ void multiply(Products& products, unsigned tile, int first) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int n = 0; n < kPart / 16; ++n) {
        unsigned b[4];
        load_matrices(b, tile + offset_bytes(first + n * 16 + lane / 16 * 8 + lane % 8,
                                             i * 2 + lane / 8 % 2));
#pragma unroll
        for (int strip = 0; strip < kStrips; ++strip) {
          multiply_add(products[strip][2 * n], rows[strip][i], b[0], b[1]);
          multiply_add(products[strip][2 * n + 1], rows[strip][i], b[2], b[3]);
        }
      }
  }
};

/// Calls use(scores) for tiles begin ... end - 1 of `others`, part by part, while the next tile
/// arrives. Scores are in exponents of 2, with value(column) added.
template <int kDim, typename Value, typename Use>
__device__ void stream_tiles(const Product<kDim>& product, const __nv_bfloat16* others, int count,
                             int begin, int end, Value value, Use use) {
  __shared__ __align__(128) unsigned char shared[2 * Product<kDim>::kBytes];
  __shared__ __align__(8) float values[2][kOthers];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32;
  const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
  const auto value_of_tile = [&](int tile) {
    const int column = tile * kOthers + static_cast<int>(threadIdx.x);
    return threadIdx.x < kOthers && column < count ? value(column) : -INFINITY;
  };
  if (begin < end) Product<kDim>::fill(base, others, begin * kOthers, count);
  commit_copies();
  float next = value_of_tile(begin);
  for (int tile = begin; tile < end; ++tile) {
    const int stage = (tile - begin) % 2;
    if (tile + 1 < end)
      Product<kDim>::fill(base + (1 - stage) * Product<kDim>::kBytes, others, (tile + 1) * kOthers,
                          count);
    commit_copies();
    if (threadIdx.x < kOthers) values[stage][threadIdx.x] = next;
    next = value_of_tile(tile + 1);
    wait_for_copies<1>();
    __syncthreads();
#pragma unroll 1  // products of one part at a time, or registers run out
    for (int first = 0; first < kOthers; first += kPart) {
      Products scores = {};
      product.multiply(scores, base + stage * Product<kDim>::kBytes, first);
#pragma unroll
      for (int n = 0; n < kPart / 8; ++n) {
        const float2 of_columns =
            *reinterpret_cast<const float2*>(&values[stage][first + n * 8 + lane % 4 * 2]);
#pragma unroll
        for (auto& of_strip : scores)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            of_strip[n][e] = fmaf(of_strip[n][e], scale, e % 2 == 0 ? of_columns.x : of_columns.y);
      }
      use(scores);
    }
    __syncthreads();  // the stage may be filled again
  }
}

__device__ float sum_of_four(float value) {
  value += __shfl_xor_sync(~0u, value, 1);
  return value + __shfl_xor_sync(~0u, value, 2);
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, 3) measure(const Problem p) {
  const int split = blockIdx.y, head = blockIdx.z, lane = threadIdx.x % 32;
  const int own = blockIdx.x * kRows + threadIdx.x / 32 * (kStrips * 16);
  const int tiles = (p.clusters + kOthers - 1) / kOthers;
  const int* sizes = p.sizes + static_cast<long long>(head) * p.clusters;
  Product<kDim> product;
  product.load_rows(p.q + static_cast<long long>(head) * p.queries * kDim, own, p.queries);
  float largest[kStrips][2], sums[kStrips][2];
#pragma unroll
  for (int i = 0; i < kStrips * 2; ++i) {
    largest[i / 2][i % 2] = kLow;
    sums[i / 2][i % 2] = 0;
  }
  const auto add = [&](const Products& scores) {
#pragma unroll
    for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float now = largest[strip][half];
#pragma unroll
        for (const auto& of_tile : scores[strip])
          now = fmaxf(now, fmaxf(of_tile[2 * half], of_tile[2 * half + 1]));
        if (now > largest[strip][half]) {
          sums[strip][half] *= power_of_2(largest[strip][half] - now);
          largest[strip][half] = now;
        }
#pragma unroll
        for (const auto& of_tile : scores[strip])
          sums[strip][half] +=
              power_of_2(of_tile[2 * half] - now) + power_of_2(of_tile[2 * half + 1] - now);
      }
  };
  stream_tiles<kDim>(
      product, p.centroids + static_cast<long long>(head) * p.clusters * kDim, p.clusters,
      min(split * p.tiles_of_split, tiles), min((split + 1) * p.tiles_of_split, tiles),
      [sizes](int cluster) { return log2f(static_cast<float>(__ldg(sizes + cluster))); }, add);
#pragma unroll
  for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float own_largest = largest[strip][half];
      float of_row = fmaxf(own_largest, __shfl_xor_sync(~0u, own_largest, 1));
      of_row = fmaxf(of_row, __shfl_xor_sync(~0u, of_row, 2));
      const float sum = sum_of_four(sums[strip][half] * power_of_2(own_largest - of_row));
      const int query = own + strip * 16 + lane / 4 + half * 8;
      if (lane % 4 == 0 && query < p.queries)
        p.moments[(static_cast<long long>(head) * p.splits + split) * p.queries + query] =
            make_float2(of_row, sum);
    }
}

/// One thread a query.
__global__ void join(const Problem p) {
  const int query = blockIdx.x * blockDim.x + threadIdx.x, head = blockIdx.y;
  if (query >= p.queries) return;
  const float2* first = p.moments + static_cast<long long>(head) * p.splits * p.queries + query;
  float largest = -INFINITY, sum = 0;
  for (int s = 0; s < p.splits; ++s)
    largest = fmaxf(largest, first[static_cast<long long>(s) * p.queries].x);
  for (int s = 0; s < p.splits; ++s) {
    const float2 part = first[static_cast<long long>(s) * p.queries];
    sum += part.y * exp2f(part.x - largest);
  }
  p.lse[static_cast<long long>(head) * p.queries + query] = largest + log2f(sum);
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, 3) average(const Problem p) {
  const int head = blockIdx.y, lane = threadIdx.x % 32;
  const int own = blockIdx.x * kRows + threadIdx.x / 32 * (kStrips * 16);
  const float* lse = p.lse + static_cast<long long>(head) * p.queries;
  Product<kDim> product;
  product.load_rows(p.centroids + static_cast<long long>(head) * p.clusters * kDim, own,
                    p.clusters);
  float sums[kStrips][2] = {};
  const auto add = [&](const Products& scores) {
#pragma unroll
    for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
      for (const auto& of_tile : scores[strip])
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[strip][e / 2] += power_of_2(of_tile[e]);
  };
  stream_tiles<kDim>(
      product, p.q + static_cast<long long>(head) * p.queries * kDim, p.queries, 0,
      (p.queries + kOthers - 1) / kOthers, [lse](int query) { return -__ldg(lse + query); }, add);
#pragma unroll
  for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = sum_of_four(sums[strip][half]);
      const int cluster = own + strip * 16 + lane / 4 + half * 8;
      if (lane % 4 == 0 && cluster < p.clusters)
        p.avg[static_cast<long long>(head) * p.clusters + cluster] =
            sum / static_cast<float>(p.queries);
    }
}

__device__ void add_product(float& sum, unsigned a, unsigned b) {
  sum = fmaf(__uint_as_float(a << 16), __uint_as_float(b << 16), sum);
  sum = fmaf(__uint_as_float(a & 0xffff0000u), __uint_as_float(b & 0xffff0000u), sum);
}

/// Scores of a single query, in exponents of 2, to avg, and the moments of the split.
template <int kDim>
__global__ void __launch_bounds__(kThreads) measure_single(const Problem p) {
  constexpr int kLanes = kDim / 8, kAtOnce = kThreads / kLanes, kLoads = kOthers / kAtOnce;
  __shared__ float2 moments[kThreads / 32];
  const int split = blockIdx.x, head = blockIdx.y, lane = threadIdx.x % kLanes;
  const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
  const long long first = static_cast<long long>(head) * p.clusters;
  const uint4* centroids = reinterpret_cast<const uint4*>(p.centroids) + first * kLanes + lane;
  const uint4 query = __ldg(reinterpret_cast<const uint4*>(p.q) + head * kLanes + lane);
  const int end = min((split + 1) * p.tiles_of_split * kOthers, p.clusters);
  float largest = -INFINITY, sum = 0;
  for (int start = split * p.tiles_of_split * kOthers; start < end; start += kOthers) {
    const int own = start + static_cast<int>(threadIdx.x) / kLanes;
    uint4 packs[kLoads];
    int sizes[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int cluster = min(own + i * kAtOnce, p.clusters - 1);
      packs[i] = __ldcs(centroids + static_cast<long long>(cluster) * kLanes);
      sizes[i] = __ldg(p.sizes + first + cluster);
    }
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      float score = 0;
      add_product(score, packs[i].x, query.x);
      add_product(score, packs[i].y, query.y);
      add_product(score, packs[i].z, query.z);
      add_product(score, packs[i].w, query.w);
#pragma unroll
      for (int distance = kLanes / 2; distance > 0; distance /= 2)
        score += __shfl_xor_sync(~0u, score, distance);
      score *= scale;
      const int cluster = own + i * kAtOnce;
      if (cluster >= end) continue;
      if (lane == 0) p.avg[first + cluster] = score;
      const float now = fmaxf(largest, score);
      sum = sum * exp2f(largest - now) + static_cast<float>(sizes[i]) * exp2f(score - now);
      largest = now;
    }
  }
  if (lane != 0) sum = 0;  // all lanes of a group have the same
  const auto join_lanes = [&] {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      const float other = __shfl_xor_sync(~0u, largest, distance);
      const float other_sum = __shfl_xor_sync(~0u, sum, distance);
      const float now = fmaxf(largest, other);
      if (now > -INFINITY) sum = sum * exp2f(largest - now) + other_sum * exp2f(other - now);
      largest = now;
    }
  };
  join_lanes();
  if (threadIdx.x % 32 == 0) moments[threadIdx.x / 32] = make_float2(largest, sum);
  __syncthreads();
  if (threadIdx.x >= 32) return;
  largest = threadIdx.x < kThreads / 32 ? moments[threadIdx.x].x : -INFINITY;
  sum = threadIdx.x < kThreads / 32 ? moments[threadIdx.x].y : 0;
  join_lanes();
  if (threadIdx.x == 0)
    p.moments[static_cast<long long>(head) * p.splits + split] = make_float2(largest, sum);
}

struct Mask {
  float* __restrict__ avg;
  const int* __restrict__ labels;
  unsigned char* __restrict__ keep;
  unsigned* __restrict__ bits;       // [heads][words]: whether labels are kept
  const float* __restrict__ single;  // logarithms of denominators where avg still holds scores
  int clusters, length, words;
  float threshold;
};

/// One thread a label, `clusters` and what fills the last word included.
__global__ void decide(const Mask m) {
  const int label = blockIdx.x * blockDim.x + threadIdx.x, head = blockIdx.y;
  bool kept = label == m.clusters;
  if (label < m.clusters) {
    float& average = m.avg[static_cast<long long>(head) * m.clusters + label];
    if (m.single != nullptr) average = exp2f(average - __ldg(m.single + head));
    kept = average > m.threshold;
  }
  const unsigned votes = __ballot_sync(~0u, kept);
  if (threadIdx.x % 32 == 0 && label / 32 < m.words)
    m.bits[static_cast<long long>(head) * m.words + label / 32] = votes;
}

/// One thread four keys of a head, kQuads times.
__global__ void mask(const Mask m) {
  constexpr int kQuads = 4;
  const int head = blockIdx.y;
  const unsigned* bits = m.bits + static_cast<long long>(head) * m.words;
  const int* labels = m.labels + static_cast<long long>(head) * m.length;
  unsigned char* keep = m.keep + static_cast<long long>(head) * m.length;
  const auto kept = [bits](int label) {
    return static_cast<unsigned char>(__ldg(bits + label / 32) >> (label % 32) & 1);
  };
  const int first = (blockIdx.x * kQuads * blockDim.x + threadIdx.x) * 4;
  const int stride = blockDim.x * 4, last = first + (kQuads - 1) * stride;
  if (m.length % 4 == 0 && last + 4 <= m.length) {
    int4 quads[kQuads];
#pragma unroll
    for (int i = 0; i < kQuads; ++i)
      quads[i] = __ldcs(reinterpret_cast<const int4*>(labels + first + i * stride));
#pragma unroll
    for (int i = 0; i < kQuads; ++i)
      __stcs(reinterpret_cast<uchar4*>(keep + first + i * stride),
             make_uchar4(kept(quads[i].x), kept(quads[i].y), kept(quads[i].z), kept(quads[i].w)));
    return;
  }
  for (int i = 0; i < kQuads; ++i)
    for (int key = first + i * stride; key < min(first + i * stride + 4, m.length); ++key)
      keep[key] = kept(labels[key]);
}

/// Fills avg, but for a single query with scores: then their denominators are in lse.
template <int kDim>
void launch(const Problem& p, int heads, cudaStream_t stream) {
  const int blocks = (p.queries + kRows - 1) / kRows;
  if (p.queries == 1)
    measure_single<kDim><<<dim3(p.splits, heads), kThreads, 0, stream>>>(p);
  else
    measure<kDim><<<dim3(blocks, p.splits, heads), kThreads, 0, stream>>>(p);
  join<<<dim3((p.queries + kThreads - 1) / kThreads, heads), kThreads, 0, stream>>>(p);
  if (p.queries > 1)
    average<kDim><<<dim3((p.clusters + kRows - 1) / kRows, heads), kThreads, 0, stream>>>(p);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* centroids, const int* sizes,
                      const int* labels, float* avg, unsigned char* keep, int heads, int queries,
                      int dim, int clusters, int length, float threshold, cudaStream_t stream) {
  const int blocks = (queries + kRows - 1) / kRows, tiles = (clusters + kOthers - 1) / kOthers;
  const int most_splits = (2048 + blocks * heads - 1) / (blocks * heads);
  const int tiles_of_split = max((tiles + most_splits - 1) / most_splits, min(tiles, 4));
  const int splits = (tiles + tiles_of_split - 1) / tiles_of_split, words = clusters / 32 + 1;
  const size_t rows = static_cast<size_t>(heads) * queries;
  float2* moments = nullptr;
  float* lse = nullptr;
  unsigned* bits = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&moments), rows * splits * sizeof(float2), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&lse), rows * sizeof(float), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&bits),
                  static_cast<size_t>(heads) * words * sizeof(unsigned), stream);
  const Problem p{q,        centroids, sizes,          avg,     queries,
                  clusters, splits,    tiles_of_split, moments, lse};
  if (dim == 64)
    launch<64>(p, heads, stream);
  else
    launch<128>(p, heads, stream);
  const Mask m{avg,      labels, keep,  bits,     queries == 1 ? lse : nullptr,
               clusters, length, words, threshold};
  decide<<<dim3((words * 32 + 255) / 256, heads), 256, 0, stream>>>(m);
  constexpr int kKeys = 16 * 256;
  mask<<<dim3((length + kKeys - 1) / kKeys, heads), 256, 0, stream>>>(m);
  cudaFreeAsync(bits, stream);
  cudaFreeAsync(lse, stream);
  cudaFreeAsync(moments, stream);
}
