// Specialist: for one first key j the task is an attention, of queries q * k1[j] to keys k2, whose
// output is multiplied by v1[j]. Rows of a block are (token, head) pairs that share a head of keys,
// 16 a warp, so that few heads fill a tile as well as many. A tile of 64 second keys and values
// stays in shared memory while the warp walks over its first keys: the left operand q * k1[j] is
// made in registers, scores stay there and become the left operand of the second product, and
// v1[j] is applied once to its result. The running maximum spans all pairs. The smaller window is
// made the first one. Bound by tensor cores, then by exponentials.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = 16 * kWarps;
constexpr int kKeys = 64;  // second keys of a tile
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

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
  const int rows = length * (heads / kv_heads);
  const dim3 grid((rows + kRows - 1) / kRows, kv_heads, batch);
  if (dim == 16)
    attend<16><<<grid, kThreads, 0, stream>>>(p);
  else if (dim == 64)
    attend<64><<<grid, kThreads, 0, stream>>>(p);
  else
    attend<128><<<grid, kThreads, 0, stream>>>(p);
}
