// Specialist: 128 queries a block, 16 a warp, kept in registers as fragments of mma.sync; tiles of
// 64 keys and values arrive by cp.async in a ring of two stages, 16-byte chunks permuted within a
// row against bank conflicts. Scores stay in registers: the accumulator of the first product, as
// weights rounded to bf16, is the left operand of the second. Running maximum and sum per row, in
// exponents of 2. Only tiles that cross the diagonal or the end are masked, and the blocks with
// the most keys start first.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;
constexpr int kKeys = 64;
constexpr int kStages = 2;
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ k;
  const __nv_bfloat16* __restrict__ v;
  __nv_bfloat16* __restrict__ o;
  float* __restrict__ lse;
  int heads, kv_heads, length, causal;
};

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

/// Keys or values of one stage in shared memory.
template <int kDim>
struct Tile {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kBytes = kKeys * kDim * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  static __device__ void fill(unsigned base, const __nv_bfloat16* rows, int first, int count) {
#pragma unroll
    for (int i = 0; i < kKeys * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const bool inside = first + row < count;
      copy_async(base + offset_bytes(row, chunk),
                 rows + static_cast<long long>(inside ? first + row : 0) * kDim + chunk * 8,
                 inside);
    }
  }
};

/// Rows lane / 4 and lane / 4 + 8 of the warp's 16 queries.
template <int kDim>
struct Rows {
  unsigned queries[kDim / 16][4];
  float sums[kDim / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, weights[2] = {0, 0};

  __device__ void load_queries(const __nv_bfloat16* q, int first, int length) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int row = first + lane / 4 + part % 2 * 8;
        const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
        queries[i][part] = row < length ? *reinterpret_cast<const unsigned*>(
                                              q + static_cast<long long>(row) * kDim + column)
                                        : 0;
      }
  }

  __device__ void add(unsigned keys, unsigned values, int first_query, int first_key, int length,
                      int causal, bool masked) {
    const int lane = threadIdx.x % 32;
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        unsigned b[4];
        load_matrices(b, keys + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                         i * 2 + lane / 8 % 2));
        multiply_add(scores[2 * n], queries[i], b[0], b[1]);
        multiply_add(scores[2 * n + 1], queries[i], b[2], b[3]);
      }
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = first_key + n * 8 + lane % 4 * 2 + e % 2;
        const int query = first_query + lane / 4 + e / 2 * 8;
        const bool allowed = !masked || (key < length && (!causal || key <= query));
        scores[n][e] = allowed ? scores[n][e] * scale : -INFINITY;
      }
    weigh(scores);
#pragma unroll
    for (int n = 0; n < kKeys / 16; ++n) {
      const unsigned a[4] = {rounded_pair(scores[2 * n][0], scores[2 * n][1]),
                             rounded_pair(scores[2 * n][2], scores[2 * n][3]),
                             rounded_pair(scores[2 * n + 1][0], scores[2 * n + 1][1]),
                             rounded_pair(scores[2 * n + 1][2], scores[2 * n + 1][3])};
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        unsigned b[4];
        load_matrices_transposed(
            b, values + Tile<kDim>::offset_bytes(n * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(sums[2 * d], a, b[0], b[1]);
        multiply_add(sums[2 * d + 1], a, b[2], b[3]);
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
      const float base = now == -INFINITY ? 0.0f : now;
      const float shrink = exp2f(largest[half] - base);
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

  __device__ void store(__nv_bfloat16* o, float* lse, int first, int length) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      weights[half] += __shfl_xor_sync(~0u, weights[half], 1);
      weights[half] += __shfl_xor_sync(~0u, weights[half], 2);
      const int row = first + lane / 4 + half * 8;
      if (row >= length) continue;
      const float inverse = 1 / weights[half];
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<unsigned*>(o + static_cast<long long>(row) * kDim + d * 8 +
                                     lane % 4 * 2) =
            rounded_pair(sums[d][2 * half] * inverse, sums[d][2 * half + 1] * inverse);
      if (lane % 4 == 0) lse[row] = kLn2 * (largest[half] + log2f(weights[half]));
    }
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int block = gridDim.x - 1 - blockIdx.x, h = blockIdx.y, b = blockIdx.z;
  const long long head = (static_cast<long long>(b) * p.heads + h) * p.length;
  const long long kv =
      (static_cast<long long>(b) * p.kv_heads + h / (p.heads / p.kv_heads)) * p.length;
  const __nv_bfloat16 *keys = p.k + kv * kDim, *values = p.v + kv * kDim;
  const int first = block * kQueries, own = first + threadIdx.x / 32 * 16;
  const int end = p.causal ? min(first + kQueries, p.length) : p.length;
  const int tiles = (end + kKeys - 1) / kKeys;
  const auto fill = [&](int tile) {
    const unsigned stage = base + tile % kStages * 2 * Tile<kDim>::kBytes;
    Tile<kDim>::fill(stage, keys, tile * kKeys, p.length);
    Tile<kDim>::fill(stage + Tile<kDim>::kBytes, values, tile * kKeys, p.length);
  };

  Rows<kDim> rows;
  rows.load_queries(p.q + head * kDim, own, p.length);
  fill(0);
  commit_copies();
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) fill(tile + 1);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const unsigned stage = base + tile % kStages * 2 * Tile<kDim>::kBytes;
    const int first_key = tile * kKeys, last_key = first_key + kKeys - 1;
    if (!p.causal || first_key <= own + 15)
      rows.add(stage, stage + Tile<kDim>::kBytes, own, first_key, p.length, p.causal,
               last_key >= p.length || (p.causal && last_key > own));
    __syncthreads();  // the stage may be filled again
  }
  rows.store(p.o + head * kDim, p.lse + head, own, p.length);
}

template <int kDim>
void launch(const Problem& p, int batch, cudaStream_t stream) {
  constexpr int kBytes = kStages * 2 * Tile<kDim>::kBytes;
  cudaFuncSetAttribute(attention<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const dim3 grid((p.length + kQueries - 1) / kQueries, p.heads, batch);
  attention<kDim><<<grid, kThreads, kBytes, stream>>>(p);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      __nv_bfloat16* o, float* lse, int batch, int heads, int kv_heads, int length,
                      int dim, int causal, cudaStream_t stream) {
  const Problem p{q, k, v, o, lse, heads, kv_heads, length, causal};
  if (dim == 64)
    launch<64>(p, batch, stream);
  else
    launch<128>(p, batch, stream);
}
