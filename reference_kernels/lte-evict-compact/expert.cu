// Specialist: bound by reading scores and moving keys and values, so scores are read as they lie,
// all heads of a token together, and only twice; nothing is written per score but two bits.
//
// Positive floats are ordered like their bits, the keys. One pass counts the leading bits of the
// keys, a histogram in shared memory a head, added up in global memory. That gives for every row, a
// sequence and head, the bin that holds the last chosen token. A second pass marks the tokens above
// that bin, and those in it, a bit each, by ballots. Then a block a row reads again the few scores
// in the bin, finds the smallest chosen key by two more histograms and lists the tokens in order of
// their bits, of equal keys the first. The last kernel moves keys and values, 16 bytes a thread.
#include <cuda_bf16.h>

namespace {

constexpr int kHeads = 8;  // of a block that reads scores
constexpr int kReaders = 512;
constexpr int kReadersAtOnce = 3;  // blocks a multiprocessor, for the sake of their histograms
constexpr int kChoosers = 256;
constexpr int kLowBits = 20;  // of a key, below those of its bin
constexpr int kBins = 2048;
constexpr int kDigitBits = kLowBits / 2, kDigits = 1 << kDigitBits;
constexpr int kWordsAtOnce = 4;  // 16 bytes
constexpr unsigned kAll = ~0u;

struct Problem {
  const float* __restrict__ score;
  int* __restrict__ histograms;   // [rows][kBins]
  int2* __restrict__ thresholds;  // [rows]: bin of the last chosen token, how many of it are wanted
  unsigned* __restrict__ above;   // [rows][words], a bit a token: in a bin above
  unsigned* __restrict__ within;  // the same: in that bin
  int* __restrict__ idx;
  int* __restrict__ cnt;
  int length, heads, candidates, sink, most;
  int words, tile;  // words of a row's bits, tokens of a block that reads scores

  __device__ unsigned key(float score, int t) const {
    return t < sink ? ~0u : score > 0 ? __float_as_uint(score) : 0;
  }
};

/// Sinks, which come before all others, have a bin that no finite score reaches.
__device__ int bin_of(unsigned key) {
  return static_cast<int>(min(key >> kLowBits, static_cast<unsigned>(kBins - 1)));
}

/// Scores of a token for heads from `first` on, 0 beyond the last.
__device__ void load_scores(float (&scores)[kHeads], const Problem& p, int b, int t, int first) {
  const float* from = p.score + (static_cast<long long>(b) * p.length + t) * p.heads + first;
  const int count = p.heads - first;
  if (p.heads % 4 == 0) {
#pragma unroll
    for (int h = 0; h < kHeads; h += 4) {
      float4 four = make_float4(0, 0, 0, 0);
      if (h < count) four = __ldg(reinterpret_cast<const float4*>(from + h));
      scores[h] = four.x;
      scores[h + 1] = four.y;
      scores[h + 2] = four.z;
      scores[h + 3] = four.w;
    }
  } else {
#pragma unroll
    for (int h = 0; h < kHeads; ++h) scores[h] = h < count ? __ldg(from + h) : 0;
  }
}

/// Histograms of the bins of a run of tokens, for up to kHeads heads.
__global__ void __launch_bounds__(kReaders) count_keys(const Problem p) {
  extern __shared__ int counts[];  // [kHeads][kBins]
  const int first_head = blockIdx.y * kHeads, b = blockIdx.z;
  for (int i = threadIdx.x; i < kHeads * kBins; i += kReaders) counts[i] = 0;
  __syncthreads();
  const int begin = blockIdx.x * p.tile, end = min(begin + p.tile, p.candidates);
#pragma unroll 2
  for (int t = begin + threadIdx.x; t < end; t += kReaders) {
    float scores[kHeads];
    load_scores(scores, p, b, t, first_head);
#pragma unroll
    for (int h = 0; h < kHeads; ++h)
      if (const unsigned key = p.key(scores[h], t); key != 0)
        atomicAdd(counts + h * kBins + bin_of(key), 1);
  }
  __syncthreads();
  const long long first_row = static_cast<long long>(b) * p.heads + first_head;
  const int heads = min(kHeads, p.heads - first_head);
  for (int i = threadIdx.x; i < heads * kBins; i += kReaders)
    if (const int count = counts[i]; count != 0)
      atomicAdd(p.histograms + first_row * kBins + i, count);
}

/// The sum of `value` of this and all later lanes.
__device__ int sum_from_here(int value) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const int later = __shfl_down_sync(kAll, value, distance);
    if (lane + distance < 32) value += later;
  }
  return value;
}

/// By a whole warp, for 16-byte aligned counts: the bin that holds the `wanted`-th of the largest,
/// and how many of it are wanted; bin -1 and none where there are fewer in all.
template <int kCount>
__device__ int2 find_bin(const int* counts, int wanted) {
  const int lane = threadIdx.x % 32;
  int first = 0;
#pragma unroll
  for (int span = kCount / 32;; span = span / 32) {  // bins of a lane
    int own = 0;
    if (span >= 4) {
      const auto* fours = reinterpret_cast<const int4*>(counts + first + lane * span);
      for (int i = 0; i < span / 4; ++i) own += fours[i].x + fours[i].y + fours[i].z + fours[i].w;
    } else {
      for (int i = 0; i < span; ++i) own += counts[first + lane * span + i];
    }
    const int from_here = sum_from_here(own);
    const unsigned enough = __ballot_sync(kAll, from_here >= wanted);
    if (enough == 0) return make_int2(-1, 0);
    const int holder = 31 - __clz(enough);
    wanted -= __shfl_sync(kAll, from_here - own, holder);
    first += holder * span;
    if (span >= 32) continue;
    for (int bin = first + span - 1;; --bin) {
      if (counts[bin] >= wanted) return make_int2(bin, wanted);
      wanted -= counts[bin];
    }
  }
}

/// Bits of a run of tokens, for up to kHeads heads. Goes backwards: the scores that were read last
/// are still in the L2 cache.
__global__ void __launch_bounds__(kReaders, kReadersAtOnce) mark(const Problem p) {
  __shared__ int bins[kHeads];
  const int first_head = blockIdx.y * kHeads, b = blockIdx.z;
  const int heads = min(kHeads, p.heads - first_head);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const long long first_row = static_cast<long long>(b) * p.heads + first_head;
  static_assert(kReaders / 32 >= kHeads, "a warp a head");
  if (warp < heads) {
    const int2 threshold = find_bin<kBins>(p.histograms + (first_row + warp) * kBins, p.most);
    if (lane == 0) {
      bins[warp] = threshold.x;
      if (blockIdx.x == 0) p.thresholds[first_row + warp] = threshold;
    }
  }
  __syncthreads();
  const int begin = blockIdx.x * p.tile, end = min(begin + p.tile, p.words * 32);
#pragma unroll 2
  for (int first = end - (warp + 1) * 32; first >= begin; first -= kReaders) {
    const int t = first + lane;
    float scores[kHeads] = {};
    if (t < p.candidates) load_scores(scores, p, b, t, first_head);
    unsigned own_above = 0, own_within = 0;  // of the head that this lane writes
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      const unsigned key = t < p.candidates && h < heads ? p.key(scores[h], t) : 0;
      const int bin = bin_of(key), last = h < heads ? bins[h] : 0;
      const unsigned is_above = __ballot_sync(kAll, key != 0 && bin > last);
      const unsigned is_within = __ballot_sync(kAll, key != 0 && bin == last);
      if (lane == h) {
        own_above = is_above;
        own_within = is_within;
      }
    }
    if (lane < heads) {
      p.above[(first_row + lane) * p.words + first / 32] = own_above;
      p.within[(first_row + lane) * p.words + first / 32] = own_within;
    }
  }
}

/// The lower bits of the keys of a row.
struct Row {
  const Problem& p;
  int b, h;

  __device__ unsigned low_bits(int t) const {
    const long long at = (static_cast<long long>(b) * p.length + t) * p.heads + h;
    return p.key(__ldg(p.score + at), t) & ((1u << kLowBits) - 1);
  }
};

/// Calls `act` for the number of every bit that is set, ascending.
template <class Act>
__device__ void for_each_bit(unsigned bits, const Act& act) {
  for (; bits != 0; bits &= bits - 1) act(__ffs(bits) - 1);
}

/// Writes the chosen tokens of a row, one block each.
__global__ void __launch_bounds__(kChoosers) choose(const Problem p) {
  constexpr int kWarps = kChoosers / 32;
  __shared__ __align__(16) int counts[kDigits];
  __shared__ int2 found, of_warp[kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int b = blockIdx.x / p.heads, h = blockIdx.x % p.heads;
  const Row row{p, b, h};
  const unsigned* above = p.above + static_cast<long long>(blockIdx.x) * p.words;
  const unsigned* within = p.within + static_cast<long long>(blockIdx.x) * p.words;

  // The smallest chosen key, and how many that equal it are chosen.
  int wanted = p.thresholds[blockIdx.x].y;
  unsigned smallest = 0;
  for (int shift = kDigitBits; wanted > 0 && shift >= 0; shift -= kDigitBits) {
    for (int i = threadIdx.x; i < kDigits; i += kChoosers) counts[i] = 0;
    __syncthreads();
    for (int w = threadIdx.x; w < p.words; w += kChoosers)
      for_each_bit(within[w], [&](int bit) {
        const unsigned low = row.low_bits(w * 32 + bit);
        if (shift == kDigitBits || low >> kDigitBits == smallest)
          atomicAdd(counts + (low >> shift & (kDigits - 1)), 1);
      });
    __syncthreads();
    if (warp == 0) {
      const int2 digit = find_bin<kDigits>(counts, wanted);
      if (lane == 0) found = digit;
    }
    __syncthreads();
    smallest = smallest << kDigitBits | found.x;
    wanted = found.y;
  }

  int* const idx = p.idx + static_cast<long long>(blockIdx.x) * p.most;
  int2 before = make_int2(0, 0);  // larger keys, keys that equal the smallest
  for (int start = 0; start < p.words; start += kChoosers * kWordsAtOnce) {
    const int first = start + threadIdx.x * kWordsAtOnce;
    unsigned larger[kWordsAtOnce] = {}, equal[kWordsAtOnce] = {};
    int2 own = make_int2(0, 0);
    if (first < p.words) {
      const uint4 four = *reinterpret_cast<const uint4*>(above + first);
      const uint4 of_bin = *reinterpret_cast<const uint4*>(within + first);
      const unsigned last_bin[kWordsAtOnce] = {of_bin.x, of_bin.y, of_bin.z, of_bin.w};
      larger[0] = four.x;
      larger[1] = four.y;
      larger[2] = four.z;
      larger[3] = four.w;
#pragma unroll
      for (int w = 0; w < kWordsAtOnce; ++w) {
        for_each_bit(last_bin[w], [&](int bit) {
          const unsigned low = row.low_bits((first + w) * 32 + bit);
          if (low > smallest) larger[w] |= 1u << bit;
          if (low == smallest) equal[w] |= 1u << bit;
        });
        own.x += __popc(larger[w]);
        own.y += __popc(equal[w]);
      }
    }
    int2 through = own;  // of the warp, up to this thread
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      const int x = __shfl_up_sync(kAll, through.x, distance);
      const int y = __shfl_up_sync(kAll, through.y, distance);
      if (lane >= distance) {
        through.x += x;
        through.y += y;
      }
    }
    if (lane == 31) of_warp[warp] = through;
    __syncthreads();
    int2 here = make_int2(before.x + through.x - own.x, before.y + through.y - own.y);
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp) {
        here.x += of_warp[w].x;
        here.y += of_warp[w].y;
      }
      before.x += of_warp[w].x;
      before.y += of_warp[w].y;
    }
    __syncthreads();
#pragma unroll
    for (int w = 0; w < kWordsAtOnce; ++w)
      for_each_bit(larger[w] | equal[w], [&](int bit) {
        const bool tie = (equal[w] >> bit & 1) != 0;
        if (!tie || here.y < wanted) idx[here.x + min(here.y, wanted)] = (first + w) * 32 + bit;
        here.x += !tie;
        here.y += tie;
      });
  }
  const int taken = before.x + min(before.y, wanted);
  if (threadIdx.x == 0) p.cnt[blockIdx.x] = taken;
  for (int m = taken + threadIdx.x; m < p.most; m += kChoosers) idx[m] = p.length;
}

/// A thread a part of 16 bytes of a slot of the result.
__global__ void gather(const uint4* __restrict__ k, const uint4* __restrict__ v,
                       const int* __restrict__ idx, uint4* __restrict__ kc, uint4* __restrict__ vc,
                       int length, int heads, int parts, int most) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x, b = blockIdx.y;
  if (index >= most * heads * parts) return;
  const int part = index % parts, h = index / parts % heads, m = index / parts / heads;
  const int t = __ldg(idx + (static_cast<long long>(b) * heads + h) * most + m);
  const bool filled = t < length;
  const long long from = ((static_cast<long long>(b) * length + t) * heads + h) * parts + part;
  const long long to = static_cast<long long>(b) * most * heads * parts + index;
  const uint4 key = filled ? __ldcs(k + from) : make_uint4(0, 0, 0, 0);
  const uint4 value = filled ? __ldcs(v + from) : make_uint4(0, 0, 0, 0);
  __stcs(kc + to, key);
  __stcs(vc + to, value);
}

int multiprocessors() {
  int device = 0, count = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return count;
}

}  // namespace

extern "C" void solve(const float* score, const __nv_bfloat16* k, const __nv_bfloat16* v, int* idx,
                      int* cnt, __nv_bfloat16* kc, __nv_bfloat16* vc, int batch, int length,
                      int heads, int dim, int window, int most, int sink, cudaStream_t stream) {
  const int candidates = length > window ? length - window : 0, parts = dim / 8;
  const size_t rows = static_cast<size_t>(batch) * heads;
  constexpr int kTokens = 32 * kWordsAtOnce;  // of words that are read at once
  const int words = (candidates + kTokens - 1) / kTokens * kWordsAtOnce;

  const size_t zeroed = rows * (sizeof(int2) + kBins * sizeof(int));
  const size_t row_bytes = words * sizeof(unsigned);
  unsigned char* memory = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&memory), zeroed + 16 + 2 * rows * row_bytes, stream);
  cudaMemsetAsync(memory, 0, zeroed, stream);
  unsigned char* const bits = memory + (zeroed + 15) / 16 * 16;
  const int head_groups = (heads + kHeads - 1) / kHeads;
  const int runs = max(1, multiprocessors() * kReadersAtOnce / (batch * head_groups));
  const int tile = ((candidates - 1) / runs / kTokens + 1) * kTokens;
  const Problem p{score,
                  reinterpret_cast<int*>(memory),
                  reinterpret_cast<int2*>(memory + rows * kBins * sizeof(int)),
                  reinterpret_cast<unsigned*>(bits),
                  reinterpret_cast<unsigned*>(bits + rows * row_bytes),
                  idx,
                  cnt,
                  length,
                  heads,
                  candidates,
                  sink,
                  most,
                  words,
                  tile};
  if (candidates > 0) {
    constexpr int kHistogramsBytes = kHeads * kBins * sizeof(int);
    cudaFuncSetAttribute(count_keys, cudaFuncAttributeMaxDynamicSharedMemorySize, kHistogramsBytes);
    const dim3 grid((candidates + tile - 1) / tile, head_groups, batch);
    count_keys<<<grid, kReaders, kHistogramsBytes, stream>>>(p);
    mark<<<grid, kReaders, 0, stream>>>(p);
  }
  choose<<<static_cast<unsigned>(rows), kChoosers, 0, stream>>>(p);
  gather<<<dim3((most * heads * parts + 255) / 256, batch), 256, 0, stream>>>(
      reinterpret_cast<const uint4*>(k), reinterpret_cast<const uint4*>(v), idx,
      reinterpret_cast<uint4*>(kc), reinterpret_cast<uint4*>(vc), length, heads, parts, most);
  cudaFreeAsync(memory, stream);
}
