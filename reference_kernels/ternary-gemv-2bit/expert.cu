// Specialist: tensor cores, with the weights as the 16-row factor and up to 8 activations as
// columns, so that a word costs ten instructions and each is read once, 16 bytes a lane.
//
// A code c in bits 0 and 1 of an f16 is the subnormal number c * 2^-24, in bits 2 i and 2 i + 1 it
// is 4^i times that, exactly: masks make factors of the product, nothing is converted. The powers
// of 4 are taken out of the activations beforehand (exact but for activations below 2^-8, which
// lose less than 2^-25), the 2^24 out of the sums, and since c = t + 1 the sum of the activations
// is subtracted at the end. A mask gives codes k and k + 8 of a word as one pair, so the products
// run over k in that order, on both sides.
//
// A block takes 64 rows of a layer; its four warps share the columns and add up in shared memory.
#include <cuda_fp16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kTiles = 4;  // of 16 rows
constexpr int kRows = 16 * kTiles;
constexpr int kWordsPerStep = 16;  // of a row: four lanes, four words each
constexpr int kMostBatch = 8;
constexpr unsigned kAll = ~0u;

/// The activations of a word: pairs (k, k + 8) for k = 0 ... 7.
struct __align__(16) Pairs {
  unsigned of[8];
};

struct Problem {
  const unsigned* __restrict__ packed;
  const float* __restrict__ gamma;
  const __half* __restrict__ x;
  __half* __restrict__ y;
  Pairs* __restrict__ pairs;  // [layers][words][batch]
  float* __restrict__ sums;   // [layers][batch]: of the activations
  int batch, rows, words, shards;
};

/// One block an activation vector.
__global__ void __launch_bounds__(256) arrange(const Problem p) {
  __shared__ float of_warp[8];
  const int layer = blockIdx.y, b = blockIdx.x;
  const __half* x = p.x + (static_cast<long long>(layer) * p.batch + b) * p.words * 16;
  float sum = 0;
  for (int word = threadIdx.x; word < p.words; word += 256) {
    Pairs pairs;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float first = __half2float(x[word * 16 + k]);
      const float second = __half2float(x[word * 16 + k + 8]);
      sum += first + second;
      const float scale = 1.0f / static_cast<float>(1 << (2 * (k % 4)));
      const __half2 pair = __floats2half2_rn(first * scale, second * scale);
      pairs.of[k] = *reinterpret_cast<const unsigned*>(&pair);
    }
    p.pairs[(static_cast<long long>(layer) * p.words + word) * p.batch + b] = pairs;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(kAll, sum, distance);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  sum = 0;
  for (const float part : of_warp) sum += part;
  p.sums[layer * p.batch + b] = sum;
}

__device__ void multiply_add(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3,
                             unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// The words of rows `upper` and `upper` + 8 with the activations of the same columns.
__device__ void multiply_words(float (&c)[4], unsigned upper, unsigned lower, const Pairs& pairs) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
      const unsigned mask = 0x00030003u << (2 * k), next = mask << 2;
      multiply_add(c, upper & mask, lower & mask, upper & next, lower & next,
                   pairs.of[4 * half + k], pairs.of[4 * half + k + 1]);
    }
    upper >>= 8;
    lower >>= 8;
  }
}

/// Four words of a row from `word` on; zeros beyond the row.
template <bool kAligned>
__device__ uint4 load_words(const unsigned* __restrict__ row, int word, int words) {
  if constexpr (kAligned) {
    return word < words ? __ldcs(reinterpret_cast<const uint4*>(row + word)) : uint4{};
  } else {
    return make_uint4(word < words ? row[word] : 0, word + 1 < words ? row[word + 1] : 0,
                      word + 2 < words ? row[word + 2] : 0, word + 3 < words ? row[word + 3] : 0);
  }
}

template <bool kAligned>
__global__ void __launch_bounds__(kThreads) multiply(const Problem p) {
  __shared__ float shared[kWarps][kRows][kMostBatch];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first_row = blockIdx.x * kRows, layer = blockIdx.y;
  const int b = lane / 4;            // activation of this lane's pairs
  const unsigned* rows[2 * kTiles];  // rows lane / 4 and lane / 4 + 8 of each tile
#pragma unroll
  for (int i = 0; i < 2 * kTiles; ++i) {
    const int row = min(first_row + lane / 4 + 8 * i, p.rows - 1);
    rows[i] = p.packed + (static_cast<long long>(layer) * p.rows + row) * p.words;
  }

  float sums[kTiles][4] = {};
  for (int start = warp * kWordsPerStep; start < p.words; start += kWarps * kWordsPerStep) {
    const int word = start + lane % 4 * 4;
    uint4 weights[2 * kTiles];
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) weights[i] = load_words<kAligned>(rows[i], word, p.words);
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      Pairs pairs{};  // zeros beyond the batch and the row, so that codes there do not count
      if (b < p.batch && word + w < p.words)
        pairs = p.pairs[(static_cast<long long>(layer) * p.words + word + w) * p.batch + b];
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const uint4 &upper = weights[2 * tile], &lower = weights[2 * tile + 1];
        multiply_words(sums[tile],
                       w == 0   ? upper.x
                       : w == 1 ? upper.y
                       : w == 2 ? upper.z
                                : upper.w,
                       w == 0   ? lower.x
                       : w == 1 ? lower.y
                       : w == 2 ? lower.z
                                : lower.w,
                       pairs);
      }
    }
  }

#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      shared[warp][tile * 16 + lane / 4 + e / 2 * 8][lane % 4 * 2 + e % 2] = sums[tile][e];
  __syncthreads();
  for (int i = threadIdx.x; i < kRows * p.batch; i += kThreads) {
    const int row = first_row + i % kRows, column = i / kRows;
    if (row >= p.rows) continue;
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += shared[w][i % kRows][column];
    const float scale = p.gamma[layer * p.shards + row / (p.rows / p.shards)];
    const long long vector = static_cast<long long>(layer) * p.batch + column;
    p.y[vector * p.rows + row] = __float2half(scale * (sum * 16777216.0f - p.sums[vector]));
  }
}

}  // namespace

extern "C" void solve(const unsigned int* packed, const float* gamma, const __half* x, __half* y,
                      int layers, int batch, int rows, int cols, int shards, cudaStream_t stream) {
  const int words = cols / 16;
  Pairs* pairs = nullptr;
  float* sums = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&pairs),
                  sizeof(Pairs) * layers * batch * static_cast<size_t>(words), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&sums), sizeof(float) * layers * batch, stream);
  const Problem p{packed, gamma, x, y, pairs, sums, batch, rows, words, shards};
  arrange<<<dim3(batch, layers), 256, 0, stream>>>(p);
  const dim3 grid((rows + kRows - 1) / kRows, layers);
  if (words % 4 == 0)
    multiply<true><<<grid, kThreads, 0, stream>>>(p);
  else
    multiply<false><<<grid, kThreads, 0, stream>>>(p);
  cudaFreeAsync(sums, stream);
  cudaFreeAsync(pairs, stream);
}
