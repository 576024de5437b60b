// Specialist: a block has queries of a head and a share of the head's list; rows of keys and values
// are gathered by cp.async, 16 bytes a thread, one tile of 64 ahead, their numbers two tiles ahead.
// Scores stay in registers and become the left operand of the second product of mma.sync. Lists are
// cut into as many shares as fill the machine, so that long ones do not hold it up; a second kernel
// merges the shares with the partial result that was given.
//
// Few queries are bound by memory. Many are bound by what a multiprocessor reads, from the second
// cache and from shared memory: then a block has 128 queries, 32 a warp, so that every gathered row
// and every fragment serves twice as many, and fragments of the queries are read anew, since the
// sums take the registers. Sums are rescaled only when a maximum has grown by more than 8 powers of
// 2, which they bear.
#include <cuda_bf16.h>

namespace {

using Element = __nv_bfloat16;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kTokens = 64;          // keys of a tile
constexpr float kMostGrowth = 8.0f;  // of weights, in powers of 2
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
__device__ float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
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
  int head, count;
  const int* list;

  __device__ Keys(const Problem& problem, int of_head)
      : p(problem),
        head(of_head),
        count(problem.klen[of_head]),
        list(problem.kidx + static_cast<long long>(of_head) * problem.most) {}
  __device__ const Element* query(int i) const {
    return p.q + (static_cast<long long>(head) * p.own_queries + i) * p.dim;
  }
};

template <int kDim>
struct Tile {
  static constexpr int kChunks = kDim / 8, kAtOnce = kThreads / kChunks;
  static constexpr int kLoads = kTokens / kAtOnce;
  static constexpr int kBytes = kTokens * kDim * 2;

  int listed[kLoads];  // numbers of this thread's rows of the next tile, -1 where there is none

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  __device__ void look_up(const Keys& keys, int first) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int j = first + static_cast<int>(threadIdx.x) / kChunks + i * kAtOnce;
      listed[i] = j < keys.count ? __ldg(keys.list + j) : -1;
    }
  }
  /// Keys and values of the tile that was looked up, zeros where there is no key.
  __device__ void fill(unsigned base, const Keys& keys) const {
    const int row = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const long long of_key =
          static_cast<long long>(keys.head) * keys.p.length + max(listed[i], 0);
      const long long at = of_key * kDim + chunk * 8;
      const unsigned target = base + offset_bytes(row + i * kAtOnce, chunk);
      copy_async(target, keys.p.k + at, listed[i] >= 0);
      copy_async(target + kBytes, keys.p.v + at, listed[i] >= 0);
    }
  }
};

/// Rows lane / 4 and lane / 4 + 8 of each strip of 16 queries of a warp. The queries of a single
/// strip stay in registers, those of several in shared memory.
template <int kDim, int kStrips>
struct Rows {
  static constexpr bool kInRegisters = kStrips == 1;
  static constexpr int kQueries = 16 * kStrips * kWarps;  // of the block
  static constexpr int kQueryBytes = kInRegisters ? 0 : kQueries * kDim * 2;

  unsigned queries[kInRegisters ? kDim / 16 : 1][4];
  unsigned query_tile;
  float sums[kStrips][kDim / 8][4] = {};
  float largest[kStrips][2], weights[kStrips][2] = {};

  __device__ void load_queries(const Keys& keys, int first, unsigned target) {
    const int lane = threadIdx.x % 32, count = keys.p.own_queries;
    query_tile = target;
#pragma unroll
    for (int i = 0; i < 2 * kStrips; ++i) largest[i / 2][i % 2] = -INFINITY;
    if constexpr (kInRegisters) {
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const int row = first + threadIdx.x / 32 * 16 + lane / 4 + part % 2 * 8;
          const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
          queries[i][part] =
              row < count ? *reinterpret_cast<const unsigned*>(keys.query(row) + column) : 0;
        }
    } else {
      for (int i = threadIdx.x; i < kQueries * kDim / 8; i += kThreads) {
        const int row = i / (kDim / 8), chunk = i % (kDim / 8);
        const bool inside = first + row < count;
        copy_async(target + Tile<kDim>::offset_bytes(row, chunk),
                   keys.query(inside ? first + row : 0) + chunk * 8, inside);
      }
    }
  }

  __device__ void add(unsigned tile, int keys_left) {
    const int lane = threadIdx.x % 32;
    float scores[kStrips][kTokens / 8][4] = {};
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      unsigned a[kStrips][4];
#pragma unroll
      for (int strip = 0; strip < kStrips; ++strip) {
        if constexpr (kInRegisters) {
#pragma unroll
          for (int part = 0; part < 4; ++part) a[strip][part] = queries[i][part];
        } else {
          const int row = (threadIdx.x / 32 * kStrips + strip) * 16 + lane % 16;
          load_matrices(a[strip], query_tile + Tile<kDim>::offset_bytes(row, i * 2 + lane / 16));
        }
      }
#pragma unroll
      for (int n = 0; n < kTokens / 16; ++n) {
        unsigned b[4];
        load_matrices(b, tile + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                         i * 2 + lane / 8 % 2));
#pragma unroll
        for (int strip = 0; strip < kStrips; ++strip) {
          multiply_add(scores[strip][2 * n], a[strip], b[0], b[1]);
          multiply_add(scores[strip][2 * n + 1], a[strip], b[2], b[3]);
        }
      }
    }
    if (keys_left < kTokens) {
#pragma unroll
      for (auto& of_strip : scores)
#pragma unroll
        for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            if (n * 8 + lane % 4 * 2 + e % 2 >= keys_left) of_strip[n][e] = -INFINITY;
    }
    weigh(scores);
#pragma unroll
    for (int n = 0; n < kTokens / 16; ++n) {
      unsigned a[kStrips][4];
#pragma unroll
      for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const float* pair = &scores[strip][2 * n + part / 2][part % 2 * 2];
          a[strip][part] = rounded_pair(pair[0], pair[1]);
        }
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        unsigned b[4];
        load_matrices_transposed(
            b, tile + Tile<kDim>::kBytes +
                   Tile<kDim>::offset_bytes(n * 16 + lane % 16, d * 2 + lane / 16));
#pragma unroll
        for (int strip = 0; strip < kStrips; ++strip) {
          multiply_add(sums[strip][2 * d], a[strip], b[0], b[1]);
          multiply_add(sums[strip][2 * d + 1], a[strip], b[2], b[3]);
        }
      }
    }
  }

  /// Turns scores into weights relative to a maximum of the row, which they may raise.
  __device__ void weigh(float (&scores)[kStrips][kTokens / 8][4]) {
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float now = -INFINITY;
#pragma unroll
        for (const auto& of_tile : scores[strip])
          now = fmaxf(now, fmaxf(of_tile[2 * half], of_tile[2 * half + 1]));
        now = fmaxf(now, __shfl_xor_sync(~0u, now, 1));
        now = fmaxf(now, __shfl_xor_sync(~0u, now, 2)) * scale;
        if (__any_sync(~0u, now > largest[strip][half] + kMostGrowth)) {
          now = fmaxf(now, largest[strip][half]);
          const float shrink = power_of_2(largest[strip][half] - base_of(now));
          largest[strip][half] = now;
          weights[strip][half] *= shrink;
#pragma unroll
          for (auto& sum : sums[strip]) {
            sum[2 * half] *= shrink;
            sum[2 * half + 1] *= shrink;
          }
        }
        const float base = base_of(largest[strip][half]);
#pragma unroll
        for (auto& of_tile : scores[strip])
#pragma unroll
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            of_tile[e] = power_of_2(fmaf(of_tile[e], scale, -base));
            weights[strip][half] += of_tile[e];  // of this thread's keys; added up at the end
          }
      }
  }
};

/// Partial results of a split: sums relative to the split's maximum, and that maximum with the sum
/// of weights.
template <int kDim, int kStrips>
__global__ void __launch_bounds__(kThreads, 2) attend(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int split = blockIdx.y, head = blockIdx.z, lane = threadIdx.x % 32;
  const int first = blockIdx.x * Rows<kDim, kStrips>::kQueries;
  const int own = first + threadIdx.x / 32 * (16 * kStrips);
  const Keys keys(p, head);
  const int tiles = (keys.count + kTokens - 1) / kTokens;
  const int begin = min(split * p.tiles_of_split, tiles);
  const int end = min(begin + p.tiles_of_split, tiles);
  Rows<kDim, kStrips> rows;
  Tile<kDim> next;
  rows.load_queries(keys, first, base + 4 * Tile<kDim>::kBytes);
  next.look_up(keys, begin * kTokens);
  if (begin < end) next.fill(base, keys);
  commit_copies();
  next.look_up(keys, (begin + 1) * kTokens);
  for (int tile = begin; tile < end; ++tile) {
    const int stage = (tile - begin) % 2;
    if (tile + 1 < end) next.fill(base + (1 - stage) * 2 * Tile<kDim>::kBytes, keys);
    commit_copies();
    next.look_up(keys, (tile + 2) * kTokens);
    wait_for_copies<1>();
    __syncthreads();
    if (own < p.own_queries)
      rows.add(base + stage * 2 * Tile<kDim>::kBytes, keys.count - tile * kTokens);
    __syncthreads();  // the stage may be filled again
  }
#pragma unroll
  for (int strip = 0; strip < kStrips; ++strip)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float weights = rows.weights[strip][half];
      weights += __shfl_xor_sync(~0u, weights, 1);
      weights += __shfl_xor_sync(~0u, weights, 2);
      const int query = own + strip * 16 + lane / 4 + half * 8;
      if (query >= p.own_queries) continue;
      const long long row =
          (static_cast<long long>(head) * p.splits + split) * p.own_queries + query;
      if (lane % 4 == 0) p.moments[row] = make_float2(rows.largest[strip][half], weights);
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<float2*>(p.sums + row * kDim + d * 8 + lane % 4 * 2) =
            make_float2(rows.sums[strip][d][2 * half], rows.sums[strip][d][2 * half + 1]);
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

template <int kDim, int kStrips>
void launch(Problem p, int heads, cudaStream_t stream) {
  constexpr int kQueries = Rows<kDim, kStrips>::kQueries;
  const int queries = p.own_queries, blocks = (queries + kQueries - 1) / kQueries;
  const int tiles = (p.most + kTokens - 1) / kTokens;
  const int most_splits = (1024 + blocks * heads - 1) / (blocks * heads);
  p.tiles_of_split = max((tiles + most_splits - 1) / most_splits, min(tiles, 8));
  p.tiles_of_split = max(p.tiles_of_split, 1);
  p.splits = max((tiles + p.tiles_of_split - 1) / p.tiles_of_split, 1);
  const size_t rows = static_cast<size_t>(heads) * p.splits * queries;
  cudaMallocAsync(reinterpret_cast<void**>(&p.sums), rows * kDim * sizeof(float), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&p.moments), rows * sizeof(float2), stream);
  constexpr int kBytes = 4 * Tile<kDim>::kBytes + Rows<kDim, kStrips>::kQueryBytes;
  cudaFuncSetAttribute(attend<kDim, kStrips>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  attend<kDim, kStrips><<<dim3(blocks, p.splits, heads), kThreads, kBytes, stream>>>(p);
  merge<<<dim3(queries, heads), kDim, 0, stream>>>(p, queries);
  cudaFreeAsync(p.moments, stream);
  cudaFreeAsync(p.sums, stream);
}

template <int kDim>
void launch_queries(const Problem& p, int heads, cudaStream_t stream) {
  if (p.own_queries <= Rows<kDim, 1>::kQueries)
    launch<kDim, 1>(p, heads, stream);
  else
    launch<kDim, 2>(p, heads, stream);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* kidx, const int* klen, const float* o0, const float* m0,
                      const float* l0, __nv_bfloat16* o, int heads, int queries, int dim,
                      int length, int most, cudaStream_t stream) {
  const Problem p{q,       k,   v,      kidx, klen,    o0,      m0, l0, o,
                  queries, dim, length, most, nullptr, nullptr, 0,  0};
  if (dim == 64)
    launch_queries<64>(p, heads, stream);
  else
    launch_queries<128>(p, heads, stream);
}
