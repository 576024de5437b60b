// Specialist: chunks of 64 tokens. A block has one head; its state, transposed, stays in the f32
// accumulators of four warps, 16 columns of x each. The layout of an accumulator is that of a right
// operand, so the state, rounded to bf16, meets the next rows of c without passing through memory.
// Per chunk: sums of the logarithms by one warp; decayed scores within the chunk (each warp 16
// rows), handed round in shared memory; outputs from scores and from the state; the state's update.
// Chunks arrive by cp.async in a ring of two stages. Only differences of sums within a chunk are
// exponentiated, and all are at most 0.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kTokens = 64;   // of a chunk
constexpr int kColumns = 64;  // of c, b and x
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
  static __device__ void fill(unsigned base, const __nv_bfloat16* matrix, int rows, int first_row) {
#pragma unroll
    for (int i = 0; i < kTokens * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const bool inside = first_row + row < rows;
      const long long source = static_cast<long long>(first_row + row) * kWidth + chunk * 8;
      copy_async(base + offset_bytes(row, chunk), matrix + (inside ? source : 0), inside);
    }
  }
};
using Inputs = Tile<kColumns>;
using Scores = Tile<kTokens>;

struct Problem {
  const __nv_bfloat16* __restrict__ c;
  const __nv_bfloat16* __restrict__ b;
  const __nv_bfloat16* __restrict__ x;
  const float* __restrict__ a;
  __nv_bfloat16* __restrict__ o;
  int heads, length;
};

/// Scores of this warp's 16 queries with the keys of the chunk, decayed, to shared memory.
__device__ void score(unsigned queries, unsigned keys, unsigned char* scores, const float* logs) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float sums[kTokens / 8][4] = {};
#pragma unroll
  for (int i = 0; i < kColumns / 16; ++i) {
    unsigned a[4], b[4];
    load_matrices(a, queries + Inputs::offset_bytes(warp * 16 + lane % 16, i * 2 + lane / 16));
#pragma unroll
    for (int n = 0; n < kTokens / 16; ++n) {
      if (n > warp) continue;  // later than all queries of this warp
      load_matrices(
          b, keys + Inputs::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8, i * 2 + lane / 8 % 2));
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
        return c <= row ? x * exp2f(logs[row] - logs[c]) : 0.0f;
      };
      *reinterpret_cast<unsigned*>(scores + Scores::offset_bytes(row, n) + lane % 4 * 4) =
          rounded_pair(decayed(column, sums[n][2 * half]),
                       decayed(column + 1, sums[n][2 * half + 1]));
    }
}

/// Sums of the logarithms, in exponents of 2, up to and with each token of the chunk; by one warp.
__device__ void sum_logarithms(const float* a, int count, float* logs) {
  const int lane = threadIdx.x;
  const float first = 2 * lane < count ? a[2 * lane] * kLog2e : 0.0f;
  const float second = 2 * lane + 1 < count ? a[2 * lane + 1] * kLog2e : 0.0f;
  float sum = first + second;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const float before = __shfl_up_sync(~0u, sum, distance);
    if (lane >= distance) sum += before;
  }
  float before = __shfl_up_sync(~0u, sum, 1);
  if (lane == 0) before = 0;
  logs[2 * lane] = before + first;
  logs[2 * lane + 1] = sum;
}

__global__ void __launch_bounds__(kThreads) scan(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ float logs[kTokens];
  constexpr int kStageBytes = 3 * Inputs::kBytes;
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const long long sequence = static_cast<long long>(blockIdx.y) * p.length;
  const long long head = (static_cast<long long>(blockIdx.y) * p.heads + blockIdx.x) * p.length;
  const int chunks = (p.length + kTokens - 1) / kTokens;
  const auto fill = [&](int chunk) {
    const unsigned stage = base + chunk % 2 * kStageBytes;
    Inputs::fill(stage, p.c + sequence * kColumns, p.length, chunk * kTokens);
    Inputs::fill(stage + Inputs::kBytes, p.b + sequence * kColumns, p.length, chunk * kTokens);
    Inputs::fill(stage + 2 * Inputs::kBytes, p.x + head * kColumns, p.length, chunk * kTokens);
  };

  float state[kColumns / 8][4] = {};  // rows: columns of x; columns: of b
  fill(0);
  commit_copies();
  for (int chunk = 0; chunk < chunks; ++chunk) {
    if (chunk + 1 < chunks) fill(chunk + 1);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const unsigned queries = base + chunk % 2 * kStageBytes, keys = queries + Inputs::kBytes;
    const unsigned values = keys + Inputs::kBytes, scores = base + 2 * kStageBytes;
    if (warp == 0) sum_logarithms(p.a + head + chunk * kTokens, p.length - chunk * kTokens, logs);
    __syncthreads();
    score(queries, keys, shared + 2 * kStageBytes, logs);
    __syncthreads();

    unsigned old[kColumns / 8][2];
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
      old[i][0] = rounded_pair(state[i][0], state[i][1]);
      old[i][1] = rounded_pair(state[i][2], state[i][3]);
    }
#pragma unroll
    for (int m = 0; m < kTokens / 16; ++m) {
      float sums[2][4] = {};
      unsigned a[4], b[4];
#pragma unroll
      for (int i = 0; i < kColumns / 16; ++i) {
        load_matrices(a, queries + Inputs::offset_bytes(m * 16 + lane % 16, i * 2 + lane / 16));
        multiply_add(sums[0], a, old[2 * i][0], old[2 * i + 1][0]);
        multiply_add(sums[1], a, old[2 * i][1], old[2 * i + 1][1]);
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float decay = exp2f(logs[m * 16 + lane / 4 + e / 2 * 8]);
        sums[0][e] *= decay;
        sums[1][e] *= decay;
      }
#pragma unroll
      for (int i = 0; i <= m; ++i) {
        load_matrices(a, scores + Scores::offset_bytes(m * 16 + lane % 16, i * 2 + lane / 16));
        load_matrices_transposed(
            b, values + Inputs::offset_bytes(i * 16 + lane % 16, warp * 2 + lane / 16));
        multiply_add(sums[0], a, b[0], b[1]);
        multiply_add(sums[1], a, b[2], b[3]);
      }
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = chunk * kTokens + m * 16 + lane / 4 + half * 8;
          const int column = warp * 16 + n * 8 + lane % 4 * 2;
          if (row < p.length)
            *reinterpret_cast<unsigned*>(p.o + (head + row) * kColumns + column) =
                rounded_pair(sums[n][2 * half], sums[n][2 * half + 1]);
        }
    }

    const float faded = exp2f(logs[kTokens - 1]);
#pragma unroll
    for (auto& part : state)
#pragma unroll
      for (float& element : part) element *= faded;
#pragma unroll
    for (int i = 0; i < kTokens / 16; ++i) {
      unsigned a[4], b[4];
      load_matrices_transposed(a, values + Inputs::offset_bytes(i * 16 + lane / 16 * 8 + lane % 8,
                                                                warp * 2 + lane / 8 % 2));
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int token = i * 16 + lane % 4 * 2 + part / 2 * 8;
        const float2 pair = __bfloat1622float2(*reinterpret_cast<__nv_bfloat162*>(&a[part]));
        a[part] = rounded_pair(pair.x * exp2f(logs[kTokens - 1] - logs[token]),
                               pair.y * exp2f(logs[kTokens - 1] - logs[token + 1]));
      }
#pragma unroll
      for (int d = 0; d < kColumns / 16; ++d) {
        load_matrices_transposed(
            b, keys + Inputs::offset_bytes(i * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(state[2 * d], a, b[0], b[1]);
        multiply_add(state[2 * d + 1], a, b[2], b[3]);
      }
    }
    __syncthreads();  // the stage, sums and scores may be overwritten
  }
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* c, const __nv_bfloat16* b, const __nv_bfloat16* x,
                      const float* a, __nv_bfloat16* o, int batch, int heads, int length,
                      cudaStream_t stream) {
  constexpr int kBytes = 6 * Inputs::kBytes + Scores::kBytes;
  const Problem p{c, b, x, a, o, heads, length};
  cudaFuncSetAttribute(scan, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  scan<<<dim3(heads, batch), kThreads, kBytes, stream>>>(p);
}
