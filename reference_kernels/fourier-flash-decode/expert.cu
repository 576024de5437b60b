// Specialist: keys and values are never expanded, because scores are linear in keys and averages
// in values. The coefficients of keys meet the queries first, which leaves 2 N numbers a head; the
// scores of all heads are then one product on tensor cores, [angles | kept elements of keys] times
// [contracted queries; the queries' kept elements], and the sums of weights times angles and times
// kept values another one, whose contraction is over tokens. At last these sums meet the
// coefficients of values. Angles are made in registers by rotation: a thread turns each of its
// complex numbers by the step of 16 orders or tokens, in f32, and rounds a copy to f16. In both
// products the contracted index is dealt out so that a thread's part is contiguous: the order of
// terms has no meaning. Bound by tensor cores and by reading the coefficients once.
#include <cuda_fp16.h>

namespace {

constexpr unsigned kAll = ~0u;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = 32;              // of the left side of a product, for one warp
constexpr int kHeads = 32;             // columns of a product
constexpr int kStep = 16;              // orders or tokens
constexpr int kGroup = 4;              // query heads of one key head that are treated at once
constexpr int kCombineThreads = 1024;  // most of a block that combines
constexpr float kLog2e = 1.44269504f;

/// Keys or values.
struct Cache {
  const __half* full;
  const int *dims, *offsets;
  const float* coef;
  const __half* kept;
  const float *mean, *offset, *scale;
  int count, columns;  // compressed and kept elements, all heads together

  __device__ int compressed(int g) const { return __ldg(offsets + g + 1) - __ldg(offsets + g); }
  /// Column of `kept` that holds position i of head g, which is not compressed.
  __device__ int column(int g, int i, int dim) const {
    return g * dim - __ldg(offsets + g + 1) + i;
  }
};

struct Problem {
  const __half* q;
  Cache k, v;
  float* o;
  int batch, heads, kv_heads, dim, full, middle, orders, window;
  int group;          // query heads of a key head
  int padded_heads;   // to kHeads
  int padded_orders;  // to kStep
  int padded_kept_keys;
  int padded_middle;  // to kStep: the token of a score at which the full ones begin
  int tokens;         // scores of a head: a multiple of 4
  float scale_log2;
  // Scratch, by sequence and head.
  __half2* contracted;  // [orders]: cosine and sine parts
  __half* kept_query;   // [kept keys]
  float* base;          // part of the score that all middle tokens share
  float* scores;        // [tokens], in powers of two
  __half* weights;      // [tokens], relative to the largest
  float2* totals;       // of the weights: middle, all
  float* sums;          // [2 orders + kept values]: of weights times angles and kept values

  __device__ int sum_length() const { return 2 * orders + v.columns; }
  __device__ long long head(int b, int h) const {
    return static_cast<long long>(b) * padded_heads + h;
  }
};

/// exp(2 pi i phase / window).
__device__ float2 angle(long long phase, int window) {
  float2 z;
  sincospif(static_cast<float>(2 * (phase % window)) / static_cast<float>(window), &z.y, &z.x);
  return z;
}
__device__ void turn(float2& z, float2 by) {
  z = make_float2(z.x * by.x - z.y * by.y, z.x * by.y + z.y * by.x);
}
__device__ unsigned pack(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
__device__ unsigned pack(__half low, __half high) {
  const __half2 pair = __halves2half2(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
__device__ float sum_of_warp(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(kAll, x, distance);
  return x;
}
/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// One warp an order and key head: the coefficients of one row meet the queries of its group.
__global__ void contract_queries(const Problem p) {
  const int n = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  const int g = blockIdx.y, b = blockIdx.z, first = p.k.offsets[g], count = p.k.compressed(g);
  if (n >= p.orders) return;
  const float* cosines = p.k.coef + (static_cast<long long>(b) * 2 * p.orders + n) * p.k.count;
  const float* sines = cosines + static_cast<long long>(p.orders) * p.k.count;
  for (int m = 0; m < p.group; m += kGroup) {
    float2 sums[kGroup] = {};
    for (int i = lane; i < count; i += 32) {
      const float scale = p.k.scale[b * p.k.count + first + i];
      const float cosine = cosines[first + i] * scale, sine = sines[first + i] * scale;
      const __half* q = p.q + (static_cast<long long>(b) * p.heads + g * p.group + m) * p.dim +
                        p.k.dims[g * p.dim + i];
#pragma unroll
      for (int e = 0; e < kGroup; ++e)
        if (m + e < p.group) {
          const float element = __half2float(q[e * p.dim]);
          sums[e].x += element * cosine;
          sums[e].y += element * sine;
        }
    }
    const float factor = p.scale_log2 / static_cast<float>(p.orders);
#pragma unroll
    for (int e = 0; e < kGroup; ++e) {
      const float2 sum = make_float2(sum_of_warp(sums[e].x), sum_of_warp(sums[e].y));
      if (lane == 0 && m + e < p.group)
        p.contracted[p.head(b, g * p.group + m + e) * p.padded_orders + n] =
            __floats2half2_rn(sum.x * factor, sum.y * factor);
    }
  }
}

/// One block a head, one thread a position: the query's kept elements, and what the means add.
__global__ void split_queries(const Problem p) {
  __shared__ float parts[4];
  const int i = threadIdx.x, h = blockIdx.x, b = blockIdx.y, g = h / p.group;
  float part = 0;
  if (i < p.dim) {
    const float element =
        __half2float(
            p.q[(static_cast<long long>(b) * p.heads + h) * p.dim + p.k.dims[g * p.dim + i]]) *
        p.scale_log2;
    if (i < p.k.compressed(g)) {
      const int at = b * p.k.count + p.k.offsets[g] + i;
      part = element * (p.k.mean[at] - p.k.offset[at] * p.k.scale[at]);
    } else {
      p.kept_query[p.head(b, h) * p.padded_kept_keys + p.k.column(g, i, p.dim)] =
          __float2half(element);
    }
  }
  part = sum_of_warp(part);
  if (i % 32 == 0) parts[i / 32] = part;
  __syncthreads();
  if (i == 0) p.base[p.head(b, h)] = parts[0] + parts[1] + parts[2] + parts[3];
}

/// One warp a full token and head.
__global__ void score_full(const Problem p) {
  const int j = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  const int h = blockIdx.y, b = blockIdx.z;
  if (j >= p.full) return;
  const __half* q = p.q + (static_cast<long long>(b) * p.heads + h) * p.dim;
  const __half* key =
      p.k.full + ((static_cast<long long>(b) * p.full + j) * p.kv_heads + h / p.group) * p.dim;
  float sum = 0;
  for (int d = lane; d < p.dim; d += 32) sum += __half2float(q[d]) * __half2float(key[d]);
  sum = sum_of_warp(sum);
  if (lane == 0) p.scores[p.head(b, h) * p.tokens + p.padded_middle + j] = sum * p.scale_log2;
}

/// Four warps of 32 tokens: scores of 32 heads.
__global__ void __launch_bounds__(kThreads) score_middle(const Problem p) {
  const int lane = threadIdx.x % 32, row = lane / 4, quarter = lane % 4;
  const int first = (blockIdx.x * kWarps + threadIdx.x / 32) * kRows;
  const int first_head = blockIdx.y * kHeads, b = blockIdx.z;
  if (first >= p.middle) return;
  float sums[2][4][4] = {};

  float2 z[4][4], step[4];  // rows of the warp: row, row + 8, + 16, + 24; orders 4 quarter + i
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const long long t = first + row + 8 * r;
    step[r] = angle(t * kStep, p.window);
#pragma unroll
    for (int i = 0; i < 4; ++i) z[r][i] = angle(t * (quarter * 4 + i), p.window);
  }
  for (int n = 0; n < p.orders; n += kStep) {
    uint4 queries[4];
#pragma unroll
    for (int tile = 0; tile < 4; ++tile)
      queries[tile] = __ldg(reinterpret_cast<const uint4*>(
          p.contracted + p.head(b, first_head + tile * 8 + row) * p.padded_orders + n +
          quarter * 4));
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float2(&low)[4] = z[2 * m], (&high)[4] = z[2 * m + 1];
        const int i = 2 * half;
        const unsigned a[4] = {pack(low[i].x, low[i].y), pack(high[i].x, high[i].y),
                               pack(low[i + 1].x, low[i + 1].y),
                               pack(high[i + 1].x, high[i + 1].y)};
#pragma unroll
        for (int tile = 0; tile < 4; ++tile)
          multiply_add(sums[m][tile], a, half == 0 ? queries[tile].x : queries[tile].z,
                       half == 0 ? queries[tile].y : queries[tile].w);
      }
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int i = 0; i < 4; ++i) turn(z[r][i], step[r]);
  }

  for (int column = 0; column < p.k.columns; column += kStep) {
    __half kept[4][4];  // columns 4 quarter + i of the rows
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int t = first + row + 8 * r;
      const long long from = (static_cast<long long>(b) * p.middle + t) * p.k.columns;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int at = column + quarter * 4 + i;
        kept[r][i] = t < p.middle && at < p.k.columns ? p.k.kept[from + at] : __half(0.0f);
      }
    }
#pragma unroll
    for (int tile = 0; tile < 4; ++tile) {
      const uint2 queries = __ldg(reinterpret_cast<const uint2*>(
          p.kept_query + p.head(b, first_head + tile * 8 + row) * p.padded_kept_keys + column +
          quarter * 4));
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const __half(&low)[4] = kept[2 * m], (&high)[4] = kept[2 * m + 1];
        const unsigned a[4] = {pack(low[0], low[1]), pack(high[0], high[1]), pack(low[2], low[3]),
                               pack(high[2], high[3])};
        multiply_add(sums[m][tile], a, queries.x, queries.y);
      }
    }
  }

#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int tile = 0; tile < 4; ++tile)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int h = first_head + tile * 8 + quarter * 2 + e % 2;
        const int t = first + m * 16 + row + e / 2 * 8;
        if (h < p.heads && t < p.middle)
          p.scores[p.head(b, h) * p.tokens + t] = sums[m][tile][e] + p.base[p.head(b, h)];
      }
}

/// One block a head.
__global__ void __launch_bounds__(1024) weigh(const Problem p) {
  __shared__ float parts[32];
  __shared__ float2 totals[32];
  const long long head = p.head(blockIdx.y, blockIdx.x), first = head * p.tokens;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const auto exists = [&](int t) {
    return t < p.middle || (t >= p.padded_middle && t < p.padded_middle + p.full);
  };
  float largest = -INFINITY;
  for (int t = threadIdx.x; t < p.tokens; t += blockDim.x)
    if (exists(t)) largest = fmaxf(largest, p.scores[first + t]);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(kAll, largest, distance));
  if (lane == 0) parts[warp] = largest;
  __syncthreads();
  for (int w = 0; w < 32; ++w) largest = fmaxf(largest, parts[w]);

  float2 total = make_float2(0, 0);
  for (int t = threadIdx.x; t < p.tokens; t += blockDim.x) {
    const __half weight =
        exists(t) ? __float2half(exp2f(p.scores[first + t] - largest)) : __half(0.0f);
    p.weights[first + t] = weight;
    if (t < p.middle) total.x += __half2float(weight);
    total.y += __half2float(weight);
  }
  total = make_float2(sum_of_warp(total.x), sum_of_warp(total.y));
  if (lane == 0) totals[warp] = total;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int w = 1; w < 32; ++w) {
    total.x += totals[w].x;
    total.y += totals[w].y;
  }
  p.totals[head] = total;
}

/// Adds the sums of a warp's rows over its block's tokens to those of 32 heads. fragment(a, m)
/// gives rows 16 m ... 16 m + 15 of the left side for the next 16 tokens, index(m, half) the
/// place of row lane / 4 + 8 half of them, or -1.
template <class Fragment, class Index>
__device__ void sum_over_tokens(const Problem& p, int b, int first_head, int begin, int end,
                                const Fragment& fragment, const Index& index) {
  const int row = threadIdx.x % 32 / 4, quarter = threadIdx.x % 4;
  float sums[2][4][4] = {};
  for (int t = begin; t < end; t += kStep) {
    unsigned a[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m) fragment(a[m], m, t);
#pragma unroll
    for (int tile = 0; tile < 4; ++tile) {
      const uint2 weights = __ldg(reinterpret_cast<const uint2*>(
          p.weights + p.head(b, first_head + tile * 8 + row) * p.tokens + t + quarter * 4));
#pragma unroll
      for (int m = 0; m < 2; ++m) multiply_add(sums[m][tile], a[m], weights.x, weights.y);
    }
  }
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int tile = 0; tile < 4; ++tile)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int h = first_head + tile * 8 + quarter * 2 + e % 2, at = index(m, e / 2);
        if (h < p.heads && at >= 0)
          atomicAdd(p.sums + p.head(b, h) * p.sum_length() + at, sums[m][tile][e]);
      }
}

/// Rows of the left side are angles, 16 orders a warp, then kept values, 32 a warp. blockIdx.x:
/// blocks of rows, of which the first `angle_blocks` are angles; y: runs of tokens; z: sequences
/// and groups of heads.
__global__ void __launch_bounds__(kThreads)
    sum_values(const Problem p, int angle_blocks, int tokens_of_run) {
  const int warp = threadIdx.x / 32, row = threadIdx.x % 32 / 4, quarter = threadIdx.x % 4;
  const int b = blockIdx.z % p.batch, first_head = blockIdx.z / p.batch * kHeads;
  const int begin = blockIdx.y * tokens_of_run, end = min(begin + tokens_of_run, p.middle);
  if (static_cast<int>(blockIdx.x) < angle_blocks) {
    const int first = (blockIdx.x * kWarps + warp) * 16;  // order
    float2 z[2][4], step[2];  // orders first + row + 8 m, tokens 4 quarter + i
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      const long long n = first + row + 8 * m;
      step[m] = angle(n * kStep, p.window);
#pragma unroll
      for (int i = 0; i < 4; ++i) z[m][i] = angle(n * (begin + quarter * 4 + i), p.window);
    }
    sum_over_tokens(
        p, b, first_head, begin, end,
        [&](unsigned(&a)[4], int m, int) {
          a[0] = pack(z[m][0].x, z[m][1].x);
          a[1] = pack(z[m][0].y, z[m][1].y);
          a[2] = pack(z[m][2].x, z[m][3].x);
          a[3] = pack(z[m][2].y, z[m][3].y);
#pragma unroll
          for (int i = 0; i < 4; ++i) turn(z[m][i], step[m]);
        },
        [&](int m, int half) {
          const int n = first + row + 8 * m;
          return n < p.orders ? half * p.orders + n : -1;
        });
  } else {
    const int first = ((blockIdx.x - angle_blocks) * kWarps + warp) * kRows;  // column
    sum_over_tokens(
        p, b, first_head, begin, end,
        [&](unsigned(&a)[4], int m, int t) {
          const auto value = [&](int i, int half) {
            const int at = t + quarter * 4 + i, column = first + row + 16 * m + 8 * half;
            return at < p.middle && column < p.v.columns
                       ? p.v.kept[(static_cast<long long>(b) * p.middle + at) * p.v.columns +
                                  column]
                       : __half(0.0f);
          };
          a[0] = pack(value(0, 0), value(1, 0));
          a[1] = pack(value(0, 1), value(1, 1));
          a[2] = pack(value(2, 0), value(3, 0));
          a[3] = pack(value(2, 1), value(3, 1));
        },
        [&](int m, int half) {
          const int column = first + row + 16 * m + 8 * half;
          return column < p.v.columns ? 2 * p.orders + column : -1;
        });
  }
}

/// One block a key head: threads (position, part of the rows of a sum).
__global__ void __launch_bounds__(kCombineThreads) combine(const Problem p) {
  extern __shared__ float shared[];  // [parts][kGroup][dim]
  const int i = threadIdx.x, part = threadIdx.y, parts = blockDim.y;
  const int g = blockIdx.x, b = blockIdx.y, compressed = p.v.compressed(g);
  const int d = p.v.dims[g * p.dim + i], at = b * p.v.count + p.v.offsets[g] + i;
  for (int m = 0; m < p.group; m += kGroup) {
    const int members = min(kGroup, p.group - m);
    const long long head = p.head(b, g * p.group + m);
    float series[kGroup] = {}, full[kGroup] = {};
    if (i < compressed) {
      const float* coef =
          p.v.coef + static_cast<long long>(b) * 2 * p.orders * p.v.count + p.v.offsets[g] + i;
#pragma unroll 4
      for (int n = part; n < 2 * p.orders; n += parts) {
        const float factor = coef[static_cast<long long>(n) * p.v.count];
#pragma unroll
        for (int e = 0; e < kGroup; ++e)
          if (e < members) series[e] += factor * p.sums[(head + e) * p.sum_length() + n];
      }
    }
#pragma unroll 4
    for (int j = part; j < p.full; j += parts) {
      const float value = __half2float(
          p.v.full[((static_cast<long long>(b) * p.full + j) * p.kv_heads + g) * p.dim + d]);
#pragma unroll
      for (int e = 0; e < kGroup; ++e)
        if (e < members)
          full[e] += value * __half2float(p.weights[(head + e) * p.tokens + p.padded_middle + j]);
    }
    const float scale = i < compressed ? p.v.scale[at] : 0;
#pragma unroll
    for (int e = 0; e < kGroup; ++e)
      shared[(part * kGroup + e) * p.dim + i] =
          full[e] + series[e] * scale / static_cast<float>(p.orders);
    __syncthreads();
    for (int e = part; e < members; e += parts) {
      const float2 total = p.totals[head + e];
      float sum = 0;
      for (int r = 0; r < parts; ++r) sum += shared[(r * kGroup + e) * p.dim + i];
      if (i < compressed)
        sum += (p.v.mean[at] - p.v.offset[at] * scale) * total.x;
      else
        sum += p.sums[(head + e) * p.sum_length() + 2 * p.orders + p.v.column(g, i, p.dim)];
      const long long to = static_cast<long long>(b) * p.heads + g * p.group + m + e;
      p.o[to * p.dim + d] = sum / total.y;
    }
    __syncthreads();  // before the next members
  }
}

int ceil_div(int a, int b) { return (a + b - 1) / b; }
int align(int a, int b) { return ceil_div(a, b) * b; }

template <class T>
T* allocate(size_t count, cudaStream_t stream) {
  void* memory = nullptr;
  cudaMallocAsync(&memory, count * sizeof(T), stream);
  return static_cast<T*>(memory);
}

}  // namespace

extern "C" void solve(const __half* q, const __half* k_full, const __half* v_full,
                      const int* k_dims, const int* v_dims, const int* k_offsets,
                      const int* v_offsets, const float* k_coef, const float* v_coef,
                      const __half* k_kept, const __half* v_kept, const float* k_mean,
                      const float* k_offset, const float* k_scale, const float* v_mean,
                      const float* v_offset, const float* v_scale, float* o, int batch, int heads,
                      int kv_heads, int dim, int full, int middle, int orders, int window,
                      int k_count, int v_count, cudaStream_t stream) {
  Problem p{};
  p.q = q;
  p.k = {k_full, k_dims,   k_offsets, k_coef,  k_kept,
         k_mean, k_offset, k_scale,   k_count, kv_heads * dim - k_count};
  p.v = {v_full, v_dims,   v_offsets, v_coef,  v_kept,
         v_mean, v_offset, v_scale,   v_count, kv_heads * dim - v_count};
  p.o = o;
  p.batch = batch;
  p.heads = heads;
  p.kv_heads = kv_heads;
  p.dim = dim;
  p.full = full;
  p.middle = middle;
  p.orders = orders;
  p.window = window;
  p.group = heads / kv_heads;
  p.padded_heads = align(heads, kHeads);
  p.padded_orders = align(orders, kStep);
  p.padded_kept_keys = align(p.k.columns, kStep);
  p.padded_middle = align(middle, kStep);
  p.tokens = p.padded_middle + align(full, 4);
  p.scale_log2 = kLog2e / sqrtf(static_cast<float>(dim));
  const size_t rows = static_cast<size_t>(batch) * p.padded_heads;
  const size_t contracted = rows * p.padded_orders, kept = rows * p.padded_kept_keys;
  const size_t sums = rows * (2 * orders + p.v.columns), tokens = rows * p.tokens;
  p.contracted = allocate<__half2>(contracted, stream);
  p.kept_query = allocate<__half>(kept + 1, stream);
  p.base = allocate<float>(rows, stream);
  p.scores = allocate<float>(tokens, stream);
  p.weights = allocate<__half>(tokens, stream);
  p.totals = allocate<float2>(rows, stream);
  p.sums = allocate<float>(sums, stream);
  cudaMemsetAsync(p.contracted, 0, contracted * sizeof(__half2), stream);
  cudaMemsetAsync(p.kept_query, 0, (kept + 1) * sizeof(__half), stream);
  cudaMemsetAsync(p.weights, 0, tokens * sizeof(__half), stream);
  cudaMemsetAsync(p.sums, 0, sums * sizeof(float), stream);

  const int head_groups = p.padded_heads / kHeads;
  if (full > 0) score_full<<<dim3(ceil_div(full, kWarps), heads, batch), kThreads, 0, stream>>>(p);
  if (middle > 0) {
    contract_queries<<<dim3(ceil_div(orders, kWarps), kv_heads, batch), kThreads, 0, stream>>>(p);
    split_queries<<<dim3(heads, batch), 128, 0, stream>>>(p);
    score_middle<<<dim3(ceil_div(middle, kWarps * kRows), head_groups, batch), kThreads, 0,
                   stream>>>(p);
  }
  weigh<<<dim3(heads, batch), 1024, 0, stream>>>(p);
  if (middle > 0) {
    const int angle_blocks = ceil_div(orders, kWarps * 16);
    const int blocks = angle_blocks + ceil_div(p.v.columns, kWarps * kRows);
    const int most_runs = max(1056 / (blocks * head_groups * batch), 1);
    const int run = align(max(ceil_div(middle, most_runs), 256), kStep);
    sum_values<<<dim3(blocks, ceil_div(middle, run), head_groups * batch), kThreads, 0, stream>>>(
        p, angle_blocks, run);
  }
  const int parts = min(kCombineThreads / dim, 8);
  combine<<<dim3(kv_heads, batch), dim3(dim, parts), sizeof(float) * parts * kGroup * dim,
            stream>>>(p);

  cudaFreeAsync(p.contracted, stream);
  cudaFreeAsync(p.kept_query, stream);
  cudaFreeAsync(p.base, stream);
  cudaFreeAsync(p.scores, stream);
  cudaFreeAsync(p.weights, stream);
  cudaFreeAsync(p.totals, stream);
  cudaFreeAsync(p.sums, stream);
}
