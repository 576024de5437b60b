// Specialist: chunks of 64 tokens. A block has one head; its state, transposed, stays in the f32
// accumulators of four warps, 16 columns of x each. The layout of an accumulator is that of a right
// operand, so the state, rounded to bf16, meets the next rows of c without passing through memory.
// Per chunk: decayed scores within the chunk (each warp 16 rows), handed round in shared memory;
// outputs from scores and from the state; the state's update. Chunks arrive by cp.async in a ring
// of two stages; one warp sums the next chunk's logarithms, whose loads are two chunks ahead. Only
// differences of sums within a chunk are exponentiated, and all are at most 0.
//
// Chunks of a head follow one another, and few heads leave the machine waiting for them. Sequences
// are then cut into segments: a first kernel finds the state that each segment would leave if it
// began with zeros, and blocks of the second begin with what the earlier segments leave.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kTokens = 64;   // of a chunk
constexpr int kColumns = 64;  // of c, b and x
constexpr int kBlocks = 3;    // at once on a multiprocessor
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
  int chunks_of_segment, segments;
  float* states;  // [batch][heads][segments - 1][elements of a thread][threads]: from zeros
  float* fades;   // [batch][heads][segments - 1]: what is left of the state before
};

/// Of a chunk's tokens: sums of the logarithms, in exponents of 2, and the decays since the chunk's
/// start and until its end.
struct Decays {
  float logs[kTokens], since_start[kTokens], until_end[kTokens];
};

/// Scores of this warp's 16 queries with the keys of the chunk, decayed, to shared memory.
__device__ void score(unsigned queries, unsigned keys, unsigned char* scores,
                      const Decays& decays) {
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
  for (int n = 0; n < kTokens / 8; ++n) {
    if (n / 2 > warp) continue;
    const int column = n * 8 + lane % 4 * 2;
    const float2 then = *reinterpret_cast<const float2*>(decays.logs + column);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = warp * 16 + lane / 4 + half * 8;
      const float now = decays.logs[row];
      const float first = sums[n][2 * half] * power_of_2(now - then.x);
      const float second = sums[n][2 * half + 1] * power_of_2(now - then.y);
      *reinterpret_cast<unsigned*>(scores + Scores::offset_bytes(row, n) + lane % 4 * 4) =
          rounded_pair(column <= row ? first : 0.0f, column + 1 <= row ? second : 0.0f);
    }
  }
}

/// Two logarithms a lane.
__device__ float2 load_logarithms(const float* a, int count) {
  const int token = threadIdx.x % 32 * 2;
  return make_float2(token < count ? a[token] : 0.0f, token + 1 < count ? a[token + 1] : 0.0f);
}

/// By one warp.
__device__ void sum_logarithms(float2 a, Decays& decays) {
  const int lane = threadIdx.x % 32;
  const float first = a.x * kLog2e;
  float sum = first + a.y * kLog2e;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const float before = __shfl_up_sync(~0u, sum, distance);
    if (lane >= distance) sum += before;
  }
  float before = __shfl_up_sync(~0u, sum, 1);
  if (lane == 0) before = 0;
  const float total = __shfl_sync(~0u, sum, 31), of_first = before + first;
  const auto store = [lane](float* to, float x, float y) {
    *reinterpret_cast<float2*>(to + 2 * lane) = make_float2(x, y);
  };
  store(decays.logs, of_first, sum);
  store(decays.since_start, power_of_2(of_first), power_of_2(sum));
  store(decays.until_end, power_of_2(total - of_first), power_of_2(total - sum));
}

/// Outputs of a segment or, if kOfSegment, the state that it leaves when it begins with zeros.
template <bool kOfSegment>
__global__ void __launch_bounds__(kThreads, kBlocks) scan(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ __align__(16) Decays decays_of_chunks[2];
  constexpr int kStageBytes = 3 * Inputs::kBytes;
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, segment = blockIdx.z;
  const long long sequence = static_cast<long long>(blockIdx.y) * p.length;
  const long long of_head = static_cast<long long>(blockIdx.y) * p.heads + blockIdx.x;
  const long long head = of_head * p.length;
  const int begin = segment * p.chunks_of_segment;
  const int end = min(begin + p.chunks_of_segment, (p.length + kTokens - 1) / kTokens);
  const auto fill = [&](int chunk) {
    const unsigned stage = base + chunk % 2 * kStageBytes;
    if constexpr (!kOfSegment)
      Inputs::fill(stage, p.c + sequence * kColumns, p.length, chunk * kTokens);
    Inputs::fill(stage + Inputs::kBytes, p.b + sequence * kColumns, p.length, chunk * kTokens);
    Inputs::fill(stage + 2 * Inputs::kBytes, p.x + head * kColumns, p.length, chunk * kTokens);
  };
  const auto logarithms = [&](int chunk) {
    return load_logarithms(p.a + head + static_cast<long long>(chunk) * kTokens,
                           chunk < end ? p.length - chunk * kTokens : 0);
  };

  float state[kColumns / 8][4] = {};  // rows: columns of x; columns: of b
  float fade = 1;
  const auto kept = [&](int of_segment) {
    return p.states + (of_head * (p.segments - 1) + of_segment) * (kColumns * kColumns) +
           threadIdx.x;
  };
  float2 next = make_float2(0, 0);
  fill(begin);
  commit_copies();
  if (warp == 0) {
    sum_logarithms(logarithms(begin), decays_of_chunks[begin % 2]);
    next = logarithms(begin + 1);
  }
  if constexpr (!kOfSegment)
    for (int before = 0; before < segment; ++before) {
      const float* from = kept(before);
      const float left = p.fades[of_head * (p.segments - 1) + before];
#pragma unroll
      for (int i = 0; i < kColumns / 8 * 4; ++i)
        state[i / 4][i % 4] = state[i / 4][i % 4] * left + from[i * kThreads];
    }
  for (int chunk = begin; chunk < end; ++chunk) {
    wait_for_copies<0>();
    __syncthreads();  // the chunk has arrived, and what the last one took may be overwritten
    if (chunk + 1 < end) fill(chunk + 1);
    commit_copies();
    const Decays& decays = decays_of_chunks[chunk % 2];
    const unsigned queries = base + chunk % 2 * kStageBytes, keys = queries + Inputs::kBytes;
    const unsigned values = keys + Inputs::kBytes, scores = base + 2 * kStageBytes;
    if (warp == 0) {  // which has the fewest scores
      sum_logarithms(next, decays_of_chunks[1 - chunk % 2]);
      next = logarithms(chunk + 2);
    }
    if constexpr (!kOfSegment) {
      score(queries, keys, shared + 2 * kStageBytes, decays);
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
        for (int half = 0; half < 2; ++half) {
          const float decay = decays.since_start[m * 16 + lane / 4 + half * 8];
#pragma unroll
          for (auto& sum : sums) {
            sum[2 * half] *= decay;
            sum[2 * half + 1] *= decay;
          }
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
    }

    const float faded = decays.since_start[kTokens - 1];
    fade *= faded;
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
        const float2 left = *reinterpret_cast<const float2*>(decays.until_end + i * 16 +
                                                             lane % 4 * 2 + part / 2 * 8);
        const float2 pair = __bfloat1622float2(*reinterpret_cast<__nv_bfloat162*>(&a[part]));
        a[part] = rounded_pair(pair.x * left.x, pair.y * left.y);
      }
#pragma unroll
      for (int d = 0; d < kColumns / 16; ++d) {
        load_matrices_transposed(
            b, keys + Inputs::offset_bytes(i * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(state[2 * d], a, b[0], b[1]);
        multiply_add(state[2 * d + 1], a, b[2], b[3]);
      }
    }
  }
  if constexpr (kOfSegment) {
    float* to = kept(segment);
#pragma unroll
    for (int i = 0; i < kColumns / 8 * 4; ++i) to[i * kThreads] = state[i / 4][i % 4];
    if (threadIdx.x == 0) p.fades[of_head * (p.segments - 1) + segment] = fade;
  }
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* c, const __nv_bfloat16* b, const __nv_bfloat16* x,
                      const float* a, __nv_bfloat16* o, int batch, int heads, int length,
                      cudaStream_t stream) {
  constexpr int kBytes = 6 * Inputs::kBytes + Scores::kBytes;
  int device = 0, multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const int chunks = (length + kTokens - 1) / kTokens;
  const int most_segments = max(1, kBlocks * multiprocessors / (batch * heads));
  const int chunks_of_segment = max((chunks + most_segments - 1) / most_segments, min(chunks, 2));
  const int segments = (chunks + chunks_of_segment - 1) / chunks_of_segment;
  Problem p{c, b, x, a, o, heads, length, chunks_of_segment, segments, nullptr, nullptr};
  cudaFuncSetAttribute(scan<true>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  cudaFuncSetAttribute(scan<false>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const size_t kept = static_cast<size_t>(batch) * heads * (segments - 1);
  if (segments > 1) {
    cudaMallocAsync(reinterpret_cast<void**>(&p.states), kept * kColumns * kColumns * sizeof(float),
                    stream);
    cudaMallocAsync(reinterpret_cast<void**>(&p.fades), kept * sizeof(float), stream);
    scan<true><<<dim3(heads, batch, segments - 1), kThreads, kBytes, stream>>>(p);
  }
  scan<false><<<dim3(heads, batch, segments), kThreads, kBytes, stream>>>(p);
  if (segments > 1) {
    cudaFreeAsync(p.fades, stream);
    cudaFreeAsync(p.states, stream);
  }
}
