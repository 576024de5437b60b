// Specialist: sequences are split into runs of tokens, one block a run and key head; all query
// heads of a key head are taken together as the 16 rows of tensor core products, so that keys and
// values are read from memory once. Each of four warps takes 16 tokens at a time and loads them
// straight into the fragments of mma.sync, 16 bytes a lane: the order in which the products run
// over the elements of a head, and the order of the columns of the result, are free and are chosen
// to fit the loads. Every warp keeps its own running maximum; warps merge in shared memory, runs in
// a second kernel. Keys and values of the next step are loaded as soon as those before are used,
// page numbers a step earlier.
//
// Heads of 64 and 128 elements and up to 16 query heads a key head take this path; others a plain
// one, in which a warp takes a token at a time.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kStep = 16;  // tokens of a warp at a time
constexpr int kRows = 16;  // query heads of a product
constexpr float kLog2e = 1.4426950408889634f;
constexpr unsigned kAll = ~0u;

/// That a multiprocessor has registers for.
constexpr int blocks_at_once(int dim) { return dim == 128 ? 2 : 4; }

struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ keys;
  const __nv_bfloat16* __restrict__ values;
  const int* __restrict__ table;
  const int* __restrict__ lengths;
  __nv_bfloat16* __restrict__ o;
  float* __restrict__ outputs;   // [batch][heads][splits][dim], sums relative to the run's maximum
  float2* __restrict__ moments;  // [batch][heads][splits]: maximum, sum of weights
  int heads, kv_heads, dim, page, most_pages;
  int splits, run;   // runs a sequence, tokens a run
  float scale_log2;  // scale * log2(e): scores are exponents of 2

  __device__ long long row(int b, int kv_head, int t) const {
    const long long at = __ldg(table + static_cast<long long>(b) * most_pages + t / page);
    return ((at * page + t % page) * kv_heads + kv_head) * dim;
  }
};

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
__device__ unsigned low_halves(unsigned a, unsigned b) { return __byte_perm(a, b, 0x5410); }
__device__ unsigned high_halves(unsigned a, unsigned b) { return __byte_perm(a, b, 0x7632); }

/// The largest of two maxima as a base for exponents; 0 where there is none yet.
__device__ float base_of(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

/// State of one warp: the rows lane / 4 and lane / 4 + 8 of the queries, of which the second half
/// is idle where kRowHalves is 1.
template <int kDim, int kRowHalves>
struct Warp {
  static constexpr int kBlocks = kDim / 32;  // of keys: a thread holds 8 of every 32 elements
  static constexpr int kHalves = kDim / 64;  // of values: a thread holds 8 of every 64 elements

  unsigned queries[kBlocks * 2][4];
  float sums[kHalves * 8][4] = {};  // tile j of half h: elements 64 h + 8 n + j, n the column
  float largest[2] = {-INFINITY, -INFINITY}, weights[2] = {0, 0};
  uint4 key[2][kBlocks], value[4][kHalves];  // of the tokens that come next

  /// The products run over elements in the order that the keys' loads give: in step 2 i the
  /// thread's columns are elements 0, 1, 2, 3 of its 8 in block i, in step 2 i + 1 elements 4
  /// ... 7.
  __device__ void load_queries(const Problem& p, int b, int kv_head) {
    const int lane = threadIdx.x % 32, group = p.heads / p.kv_heads;
#pragma unroll
    for (int i = 0; i < kBlocks; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int member = lane / 4 + 8 * half;
        uint4 pack = make_uint4(0, 0, 0, 0);
        if (member < group) {
          const long long head = static_cast<long long>(b) * p.heads + kv_head * group + member;
          pack = *reinterpret_cast<const uint4*>(p.q + head * kDim + i * 32 + lane % 4 * 8);
        }
        queries[2 * i][half] = pack.x;
        queries[2 * i][half + 2] = pack.y;
        queries[2 * i + 1][half] = pack.z;
        queries[2 * i + 1][half + 2] = pack.w;
      }
  }

  /// Keys of 16 tokens. row: first element of the key of token lane % 16.
  __device__ void load_keys(const Problem& p, long long row) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const long long from = __shfl_sync(kAll, row, n * 8 + lane / 4) + lane % 4 * 8;
#pragma unroll
      for (int i = 0; i < kBlocks; ++i)
        key[n][i] = __ldcs(reinterpret_cast<const uint4*>(p.keys + from + i * 32));
    }
  }
  /// Their values: tokens 2 c, 2 c + 1, 2 c + 8, 2 c + 9 of the fragment.
  __device__ void load_values(const Problem& p, long long row) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      const long long from =
          __shfl_sync(kAll, row, lane % 4 * 2 + t % 2 + t / 2 * 8) + lane / 4 * 8;
#pragma unroll
      for (int h = 0; h < kHalves; ++h)
        value[t][h] = __ldcs(reinterpret_cast<const uint4*>(p.values + from + h * 64));
    }
  }

  /// Scores of the tokens that were loaded, of which the first `count` exist.
  __device__ void score(const Problem& p, float (&scores)[2][4], int count) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int i = 0; i < kBlocks; ++i) {
        multiply_add(scores[n], queries[2 * i], key[n][i].x, key[n][i].y);
        multiply_add(scores[n], queries[2 * i + 1], key[n][i].z, key[n][i].w);
      }
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int token = n * 8 + lane % 4 * 2 + e % 2;
        scores[n][e] = token < count ? scores[n][e] * p.scale_log2 : -INFINITY;
      }
  }

  /// Adds the values that were loaded. Weights are two bf16 numbers each: where two of them weigh
  /// opposite values, the rounding of one is all that is left.
  __device__ void add(const float (&weights)[2][4]) {
    unsigned high[4] = {}, low[4] = {};
#pragma unroll
    for (int half = 0; half < kRowHalves; ++half)
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const float first = weights[n][2 * half], second = weights[n][2 * half + 1];
        const unsigned pair = rounded_pair(first, second);
        high[half + 2 * n] = pair;
        low[half + 2 * n] = rounded_pair(first - __uint_as_float(pair << 16),
                                         second - __uint_as_float(pair & 0xffff0000u));
      }
#pragma unroll
    for (int h = 0; h < kHalves; ++h) {
      accumulate(h * 8, high, low, value[0][h].x, value[1][h].x, value[2][h].x, value[3][h].x);
      accumulate(h * 8 + 2, high, low, value[0][h].y, value[1][h].y, value[2][h].y, value[3][h].y);
      accumulate(h * 8 + 4, high, low, value[0][h].z, value[1][h].z, value[2][h].z, value[3][h].z);
      accumulate(h * 8 + 6, high, low, value[0][h].w, value[1][h].w, value[2][h].w, value[3][h].w);
    }
  }

  /// Turns scores into weights relative to the running maximum, which they may raise.
  __device__ void weigh(float (&scores)[2][4]) {
#pragma unroll
    for (int half = 0; half < kRowHalves; ++half) {
      float now = fmaxf(fmaxf(scores[0][2 * half], scores[0][2 * half + 1]),
                        fmaxf(scores[1][2 * half], scores[1][2 * half + 1]));
      now = fmaxf(now, __shfl_xor_sync(kAll, now, 1));
      now = fmaxf(now, __shfl_xor_sync(kAll, now, 2));
      now = fmaxf(now, largest[half]);
      const float shrink = exp2f(largest[half] - base_of(now));
      largest[half] = now;
      weights[half] *= shrink;
#pragma unroll
      for (auto& sum : sums) {
        sum[2 * half] *= shrink;
        sum[2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          scores[n][e] = exp2f(scores[n][e] - base_of(now));
          weights[half] +=
              scores[n][e];  // of this thread's tokens; the warp's are added at the end
        }
    }
  }

  /// Two neighbouring elements of four tokens.
  __device__ void accumulate(int tile, const unsigned (&high)[4], const unsigned (&low)[4],
                             unsigned v0, unsigned v1, unsigned v2, unsigned v3) {
    const unsigned even[2] = {low_halves(v0, v1), low_halves(v2, v3)};
    const unsigned odd[2] = {high_halves(v0, v1), high_halves(v2, v3)};
    multiply_add(sums[tile], low, even[0], even[1]);
    multiply_add(sums[tile], high, even[0], even[1]);
    multiply_add(sums[tile + 1], low, odd[0], odd[1]);
    multiply_add(sums[tile + 1], high, odd[0], odd[1]);
  }
};

template <int kDim, int kRowHalves>
__global__ void __launch_bounds__(kThreads, blocks_at_once(kDim)) attend_run(const Problem p) {
  // Rows in the order of the fragments, 8 further apart against bank conflicts.
  __shared__ __align__(16) float outputs[kRows][kDim + 8];
  __shared__ float2 moments[kWarps][kRows];
  const int split = blockIdx.x, kv_head = blockIdx.y, b = blockIdx.z;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = p.heads / p.kv_heads;
  const int begin = split * p.run, end = min(begin + p.run, p.lengths[b]);
  if (begin >= end && split > 0) return;

  Warp<kDim, kRowHalves> state;
  state.load_queries(p, b, kv_head);
  constexpr int kStride = kWarps * kStep;
  const auto row_at = [&](int token) {
    return token < end ? p.row(b, kv_head, min(token + lane % kStep, end - 1)) : 0;
  };
  int token = begin + warp * kStep;
  long long next_row = row_at(token + kStride);
  if (token < end) {
    const long long row = row_at(token);
    state.load_keys(p, row);
    state.load_values(p, row);
  }
  for (; token < end; token += kStride) {
    const bool more = token + kStride < end;
    const long long row_after = row_at(token + 2 * kStride);
    float scores[2][4] = {};
    state.score(p, scores, end - token);
    if (more) state.load_keys(p, next_row);
    state.weigh(scores);
    state.add(scores);
    if (more) state.load_values(p, next_row);
    next_row = row_after;
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    state.weights[half] += __shfl_xor_sync(kAll, state.weights[half], 1);
    state.weights[half] += __shfl_xor_sync(kAll, state.weights[half], 2);
    if (lane % 4 == 0)
      moments[warp][lane / 4 + 8 * half] = make_float2(state.largest[half], state.weights[half]);
  }
  __syncthreads();
  float shrink[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float overall = -INFINITY;
    for (int w = 0; w < kWarps; ++w) overall = fmaxf(overall, moments[w][lane / 4 + 8 * half].x);
    shrink[half] = exp2f(state.largest[half] - base_of(overall));
  }
  for (int w = 0; w < kWarps; ++w) {  // one warp after the other: the order of sums is fixed
    if (w == warp)
#pragma unroll
      for (int half = 0; half < kRowHalves; ++half) {
        const int member = lane / 4 + 8 * half;
        if (member >= group) continue;
#pragma unroll
        for (int tile = 0; tile < kDim / 8; ++tile) {
          auto& pair = *reinterpret_cast<float2*>(&outputs[member][tile * 8 + lane % 4 * 2]);
          const float2 before = w == 0 ? make_float2(0, 0) : pair;
          pair = make_float2(before.x + state.sums[tile][2 * half] * shrink[half],
                             before.y + state.sums[tile][2 * half + 1] * shrink[half]);
        }
      }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < group * kDim; i += kThreads) {
    const int member = i / kDim, element = i % kDim;
    const int tile = element / 64 * 8 + element % 8, column = element / 8 % 8;
    const long long head = static_cast<long long>(b) * p.heads + kv_head * group + member;
    p.outputs[(head * p.splits + split) * kDim + element] = outputs[member][tile * 8 + column];
    if (element != 0) continue;
    float2 of_run = make_float2(-INFINITY, 0);
    for (int w = 0; w < kWarps; ++w) of_run.x = fmaxf(of_run.x, moments[w][member].x);
    for (int w = 0; w < kWarps; ++w)
      of_run.y += moments[w][member].y * exp2f(moments[w][member].x - base_of(of_run.x));
    p.moments[head * p.splits + split] = of_run;
  }
}

/// One block a query head, one thread an element; at least a warp, each of which computes the
/// factors of all runs, a lane a run.
__global__ void merge_runs(const Problem p) {
  extern __shared__ float factors[];  // of the runs
  const int h = blockIdx.x, b = blockIdx.y, lane = threadIdx.x % 32;
  const long long first = (static_cast<long long>(b) * p.heads + h) * p.splits;
  const int runs = (p.lengths[b] + p.run - 1) / p.run;
  float largest = -INFINITY, weights = 0, sum = 0;
  for (int r = lane; r < runs; r += 32) largest = fmaxf(largest, p.moments[first + r].x);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(kAll, largest, distance));
  for (int r = lane; r < runs; r += 32) {
    const float2 of_run = p.moments[first + r];
    const float factor = exp2f(of_run.x - largest);
    weights += of_run.y * factor;
    if (threadIdx.x < 32) factors[r] = factor;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    weights += __shfl_xor_sync(kAll, weights, distance);
  __syncthreads();
  if (threadIdx.x >= p.dim) return;
#pragma unroll 8
  for (int r = 0; r < runs; ++r) sum += p.outputs[(first + r) * p.dim + threadIdx.x] * factors[r];
  p.o[(first / p.splits) * p.dim + threadIdx.x] = __float2bfloat16(runs > 0 ? sum / weights : 0.0f);
}

/// A run of one query head by one warp, for heads of up to 128 elements.
__global__ void attend_run_plainly(const Problem p) {
  const int split = blockIdx.x, h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x;
  const long long head = static_cast<long long>(b) * p.heads + h;
  const int begin = split * p.run, end = min(begin + p.run, p.lengths[b]);
  float largest = -INFINITY, weights = 0, sums[4] = {};
  for (int t = begin; t < end; ++t) {
    const long long row = p.row(b, h / (p.heads / p.kv_heads), t);
    float score = 0;
    for (int d = lane; d < p.dim; d += 32)
      score += __bfloat162float(p.q[head * p.dim + d]) * __bfloat162float(p.keys[row + d]);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      score += __shfl_xor_sync(kAll, score, distance);
    score *= p.scale_log2;
    const float now = fmaxf(largest, score);
    const float shrink = exp2f(largest - now), weight = exp2f(score - now);
    largest = now;
    weights = weights * shrink + weight;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (const int d = lane + 32 * i; d < p.dim)
        sums[i] = sums[i] * shrink + weight * __bfloat162float(p.values[row + d]);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (const int d = lane + 32 * i; d < p.dim)
      p.outputs[(head * p.splits + split) * p.dim + d] = sums[i];
  if (lane == 0) p.moments[head * p.splits + split] = make_float2(largest, weights);
}

/// Tokens of a run: as many runs as blocks that run at once, which take few registers for short
/// heads, but not so few tokens that starting costs more than they do, nor so many that the last
/// runs of unequal sequences leave most multiprocessors idle.
int run_length(int most_tokens, int groups, int dim) {
  constexpr int kUnit = kWarps * kStep, kMost = 1024;
  int device = 0, multiprocessors = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const long long at_once = multiprocessors * blocks_at_once(dim);
  const long long share = (static_cast<long long>(most_tokens) * groups + at_once - 1) / at_once;
  const int most = static_cast<int>(share < kUnit ? kUnit : share > kMost ? kMost : share);
  const int runs = (most_tokens - 1) / most + 1;
  return ((most_tokens - 1) / runs / kUnit + 1) * kUnit;
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* keys,
                      const __nv_bfloat16* values, const int* table, const int* lengths,
                      __nv_bfloat16* o, int batch, int heads, int kv_heads, int dim, int page,
                      int most_pages, float scale, cudaStream_t stream) {
  const int most_tokens = most_pages * page;
  const int run = run_length(most_tokens, batch * kv_heads, dim);
  Problem p{
      q,       keys,          values,   table, lengths, o,          nullptr,
      nullptr, heads,         kv_heads, dim,   page,    most_pages, (most_tokens - 1) / run + 1,
      run,     scale * kLog2e};
  const size_t runs = static_cast<size_t>(batch) * heads * p.splits;
  float* outputs = nullptr;
  float2* moments = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&outputs), runs * dim * sizeof(float), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&moments), runs * sizeof(float2), stream);
  p.outputs = outputs;
  p.moments = moments;
  const dim3 grid(p.splits, kv_heads, batch);
  const int group = heads / kv_heads;
  if (dim == 128 && group <= kRows / 2)
    attend_run<128, 1><<<grid, kThreads, 0, stream>>>(p);
  else if (dim == 128 && group <= kRows)
    attend_run<128, 2><<<grid, kThreads, 0, stream>>>(p);
  else if (dim == 64 && group <= kRows / 2)
    attend_run<64, 1><<<grid, kThreads, 0, stream>>>(p);
  else if (dim == 64 && group <= kRows)
    attend_run<64, 2><<<grid, kThreads, 0, stream>>>(p);
  else
    attend_run_plainly<<<dim3(p.splits, heads, batch), 32, 0, stream>>>(p);
  merge_runs<<<dim3(heads, batch), max(dim, 32), p.splits * sizeof(float), stream>>>(p);
  cudaFreeAsync(moments, stream);
  cudaFreeAsync(outputs, stream);
}
