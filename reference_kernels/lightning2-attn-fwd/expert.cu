// Specialist: chunks of 64 tokens. A block has one head and 64 columns of the values; its state,
// transposed, stays in the f32 accumulators of four warps, 16 columns each. The layout of an
// accumulator is that of a right operand, so the state, rounded to bf16, meets the next queries
// without passing through memory. Per chunk: decayed scores within the chunk (each warp 16 rows),
// handed round in shared memory; outputs from scores and from the state; the state's update with
// keys. Chunks arrive by cp.async in a ring of two stages. All exponents are at most 0.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kTokens = 64;   // of a chunk
constexpr int kColumns = 64;  // of the values
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

/// 64 rows in shared memory, their chunks of 8 elements permuted.
template <int kWidth>
struct Tile {
  static constexpr int kChunks = kWidth / 8;
  static constexpr int kBytes = kTokens * kWidth * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  /// Rows of `stride` elements, of which those from first_column on are wanted; zeros beyond.
  static __device__ void fill(unsigned base, const __nv_bfloat16* matrix, int rows, int stride,
                              int first_row, int first_column) {
#pragma unroll
    for (int i = 0; i < kTokens * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const int column = first_column + chunk * 8;
      const bool inside = first_row + row < rows && column < stride;
      const long long source = static_cast<long long>(first_row + row) * stride + column;
      copy_async(base + offset_bytes(row, chunk), matrix + (inside ? source : 0), inside);
    }
  }
};
using Values = Tile<kColumns>;
using Scores = Tile<kTokens>;

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ k;
  const __nv_bfloat16* __restrict__ v;
  const float* __restrict__ slopes;
  __nv_bfloat16* __restrict__ o;
  int heads, length, dim, values;
};

/// Scores of this warp's 16 queries with the keys of the chunk, decayed, to shared memory.
template <int kDim>
__device__ void score(unsigned queries, unsigned keys, unsigned char* scores, float slope_log2) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float sums[kTokens / 8][4] = {};
#pragma unroll
  for (int i = 0; i < kDim / 16; ++i) {
    unsigned a[4], b[4];
    load_matrices(a, queries + Tile<kDim>::offset_bytes(warp * 16 + lane % 16, i * 2 + lane / 16));
#pragma unroll
    for (int n = 0; n < kTokens / 16; ++n) {
      if (n > warp) continue;  // later than all queries of this warp
      load_matrices(b, keys + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                       i * 2 + lane / 8 % 2));
      multiply_add(sums[2 * n], a, b[0], b[1]);
      multiply_add(sums[2 * n + 1], a, b[2], b[3]);
    }
  }
#pragma unroll
  for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = warp * 16 + lane / 4 + half * 8, column = n * 8 + lane % 4 * 2;
      const auto decayed = [&](int c, float x) {
        return c <= row ? x * exp2f(slope_log2 * (c - row)) : 0.0f;
      };
      *reinterpret_cast<unsigned*>(scores + Scores::offset_bytes(row, n) + lane % 4 * 4) =
          rounded_pair(decayed(column, sums[n][2 * half]),
                       decayed(column + 1, sums[n][2 * half + 1]));
    }
}

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  constexpr int kStageBytes = 2 * Tile<kDim>::kBytes + Values::kBytes;
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first_column = blockIdx.x * kColumns, h = blockIdx.y;
  const long long head = (static_cast<long long>(blockIdx.z) * p.heads + h) * p.length;
  const float slope_log2 = p.slopes[h] * kLog2e;
  const int chunks = (p.length + kTokens - 1) / kTokens;
  const auto fill = [&](int chunk) {
    const unsigned stage = base + chunk % 2 * kStageBytes;
    Tile<kDim>::fill(stage, p.q + head * p.dim, p.length, p.dim, chunk * kTokens, 0);
    Tile<kDim>::fill(stage + Tile<kDim>::kBytes, p.k + head * p.dim, p.length, p.dim,
                     chunk * kTokens, 0);
    Values::fill(stage + 2 * Tile<kDim>::kBytes, p.v + head * p.values, p.length, p.values,
                 chunk * kTokens, first_column);
  };

  float state[kDim / 8][4] = {};  // rows: columns of the values; columns: elements of keys
  fill(0);
  commit_copies();
  for (int chunk = 0; chunk < chunks; ++chunk) {
    if (chunk + 1 < chunks) fill(chunk + 1);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const unsigned queries = base + chunk % 2 * kStageBytes, keys = queries + Tile<kDim>::kBytes;
    const unsigned values = keys + Tile<kDim>::kBytes, scores = base + 2 * kStageBytes;
    score<kDim>(queries, keys, shared + 2 * kStageBytes, slope_log2);
    __syncthreads();

    unsigned old[kDim / 8][2];
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      old[i][0] = rounded_pair(state[i][0], state[i][1]);
      old[i][1] = rounded_pair(state[i][2], state[i][3]);
    }
#pragma unroll
    for (int m = 0; m < kTokens / 16; ++m) {
      float sums[2][4] = {};
      unsigned a[4], b[4];
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i) {
        load_matrices(a, queries + Tile<kDim>::offset_bytes(m * 16 + lane % 16, i * 2 + lane / 16));
        multiply_add(sums[0], a, old[2 * i][0], old[2 * i + 1][0]);
        multiply_add(sums[1], a, old[2 * i][1], old[2 * i + 1][1]);
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float decay = exp2f(-slope_log2 * (m * 16 + lane / 4 + e / 2 * 8 + 1));
        sums[0][e] *= decay;
        sums[1][e] *= decay;
      }
#pragma unroll
      for (int i = 0; i <= m; ++i) {
        load_matrices(a, scores + Scores::offset_bytes(m * 16 + lane % 16, i * 2 + lane / 16));
        load_matrices_transposed(
            b, values + Values::offset_bytes(i * 16 + lane % 16, warp * 2 + lane / 16));
        multiply_add(sums[0], a, b[0], b[1]);
        multiply_add(sums[1], a, b[2], b[3]);
      }
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = chunk * kTokens + m * 16 + lane / 4 + half * 8;
          const int column = first_column + warp * 16 + n * 8 + lane % 4 * 2;
          if (row < p.length && column < p.values)
            *reinterpret_cast<unsigned*>(p.o + (head + row) * p.values + column) =
                rounded_pair(sums[n][2 * half], sums[n][2 * half + 1]);
        }
    }

    const float faded = exp2f(-slope_log2 * kTokens);
#pragma unroll
    for (auto& part : state)
#pragma unroll
      for (float& element : part) element *= faded;
#pragma unroll
    for (int i = 0; i < kTokens / 16; ++i) {
      unsigned a[4], b[4];
      load_matrices_transposed(a, values + Values::offset_bytes(i * 16 + lane / 16 * 8 + lane % 8,
                                                                warp * 2 + lane / 8 % 2));
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int token = i * 16 + lane % 4 * 2 + part / 2 * 8;
        const float2 pair = __bfloat1622float2(*reinterpret_cast<__nv_bfloat162*>(&a[part]));
        a[part] = rounded_pair(pair.x * exp2f(-slope_log2 * (kTokens - 1 - token)),
                               pair.y * exp2f(-slope_log2 * (kTokens - 2 - token)));
      }
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        load_matrices_transposed(
            b, keys + Tile<kDim>::offset_bytes(i * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(state[2 * d], a, b[0], b[1]);
        multiply_add(state[2 * d + 1], a, b[2], b[3]);
      }
    }
    __syncthreads();  // the stage and the scores may be overwritten
  }
}

template <int kDim>
void launch(const Problem& p, int batch, cudaStream_t stream) {
  constexpr int kBytes = 2 * (2 * Tile<kDim>::kBytes + Values::kBytes) + Scores::kBytes;
  cudaFuncSetAttribute(attention<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const dim3 grid((p.values + kColumns - 1) / kColumns, p.heads, batch);
  attention<kDim><<<grid, kThreads, kBytes, stream>>>(p);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const float* slopes, __nv_bfloat16* o, int batch, int heads, int length,
                      int dim, int values, cudaStream_t stream) {
  const Problem p{q, k, v, slopes, o, heads, length, dim, values};
  if (dim <= 64)
    launch<64>(p, batch, stream);
  else
    launch<128>(p, batch, stream);
}
