// Specialist: least significant digit first, four passes of 8 bits, each of which reads and writes
// every pair once (Adinets and Merrill: Onesweep, 2022). One kernel counts the digits of all passes
// beforehand. In a pass a tile ranks its keys by match instructions, warp by warp in the order of
// the input, so that equal digits keep their order; where a digit's keys of all tiles before begin
// is found by decoupled look-back, each thread for its own digit. Tiles are taken by ticket: a
// block waits only for blocks that are already running. Pairs go through shared memory, so that
// those with the same digit are written side by side.
namespace {

constexpr int kThreads = 256;  // also the number of digits: thread d looks after digit d
constexpr int kDigits = 256;
constexpr int kPasses = 4;
constexpr int kWarps = kThreads / 32;
constexpr int kPerThread = 16;
constexpr int kTile = kThreads * kPerThread;
constexpr unsigned kAll = ~0u;
static_assert(kThreads == kDigits);

/// What a tile has published about a digit: a state in the upper two bits and a count below.
constexpr unsigned kTileCount = 1u << 30;  // in this tile
constexpr unsigned kPrefix = 2u << 30;     // in all tiles up to this one
constexpr unsigned kCountMask = (1u << 30) - 1;

/// Scratch that starts as zeros.
struct Progress {
  unsigned counts[kPasses][kDigits];  // of all keys; then how many keys have smaller digits
  unsigned next_tile[kPasses];
  unsigned states[1];  // [kPasses][tiles][kDigits]
};

__device__ unsigned digit_of(unsigned key, int pass) { return key >> (8 * pass) & 0xff; }

__global__ void __launch_bounds__(kThreads)
    count_digits(const unsigned* __restrict__ keys, int n, Progress* progress) {
  __shared__ unsigned counts[kPasses][kDigits];
  for (int i = threadIdx.x; i < kPasses * kDigits; i += kThreads) counts[0][i] = 0;
  __syncthreads();
  const long long stride = static_cast<long long>(gridDim.x) * kThreads;
  for (long long i = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x; i < n;
       i += stride) {
    const unsigned key = keys[i];
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) atomicAdd(&counts[pass][digit_of(key, pass)], 1u);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kPasses * kDigits; i += kThreads)
    if (counts[0][i] != 0) atomicAdd(&progress->counts[0][i], counts[0][i]);
}

/// Sum over the threads before this one.
__device__ unsigned exclusive_block_scan(unsigned value) {
  __shared__ unsigned warp_sums[kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  unsigned through = value;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const unsigned before = __shfl_up_sync(kAll, through, distance);
    if (lane >= distance) through += before;
  }
  __syncthreads();
  if (lane == 31) warp_sums[warp] = through;
  __syncthreads();
  unsigned before = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) before += w < warp ? warp_sums[w] : 0;
  return before + through - value;
}

__global__ void __launch_bounds__(kThreads) scan_counts(Progress* progress) {
  unsigned& count = progress->counts[blockIdx.x][threadIdx.x];
  count = exclusive_block_scan(count);
}

/// How many keys with this thread's digit the tiles before `tile` hold.
__device__ unsigned look_back(volatile unsigned* states, int tile) {
  unsigned sum = 0;
  for (int before = tile - 1; before >= 0; --before) {
    unsigned state;
    do {
      state = states[static_cast<long long>(before) * kDigits + threadIdx.x];
    } while (state == 0);
    sum += state & kCountMask;
    if (state >= kPrefix) break;
  }
  return sum;
}

struct Tile {
  unsigned sorted[kTile];
  unsigned counts[kWarps][kDigits];  // then: of the warps before
  unsigned starts[kDigits];          // first place of a digit within the tile
  unsigned targets[kDigits];         // place in the output less place in the tile
  unsigned ticket;
};

__global__ void __launch_bounds__(kThreads)
    sort_pass(const unsigned* __restrict__ keys, const unsigned* __restrict__ values,
              unsigned* __restrict__ keys_out, unsigned* __restrict__ values_out, int n, int pass,
              int tiles, Progress* progress) {
  __shared__ Tile shared;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (threadIdx.x == 0) shared.ticket = atomicAdd(&progress->next_tile[pass], 1);
  for (int w = 0; w < kWarps; ++w) shared.counts[w][threadIdx.x] = 0;
  __syncthreads();
  const int tile = static_cast<int>(shared.ticket);
  const int start = tile * kTile;
  const int filled = min(kTile, n - start);
  const int first = warp * 32 * kPerThread + lane;  // within the tile; items are 32 apart

  unsigned key[kPerThread], rank[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int place = first + i * 32;
    key[i] = place < filled ? keys[start + place] : ~0u;  // padding sorts behind all others
  }
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const unsigned digit = digit_of(key[i], pass);
    const unsigned peers = __match_any_sync(kAll, digit);
    const int leader = __ffs(peers) - 1;
    unsigned before = 0;
    if (lane == leader) {
      before = shared.counts[warp][digit];
      shared.counts[warp][digit] = before + __popc(peers);
    }
    before = __shfl_sync(kAll, before, leader);
    rank[i] = before + __popc(peers & ((1u << lane) - 1));
    __syncwarp();
  }
  __syncthreads();

  unsigned count = 0;  // of digit threadIdx.x in this tile
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const unsigned of_warp = shared.counts[w][threadIdx.x];
    shared.counts[w][threadIdx.x] = count;
    count += of_warp;
  }
  unsigned* states = progress->states + static_cast<long long>(pass) * tiles * kDigits;
  volatile unsigned* mine = states + static_cast<long long>(tile) * kDigits + threadIdx.x;
  *mine = (tile == 0 ? kPrefix : kTileCount) | count;
  const unsigned place = exclusive_block_scan(count);
  const unsigned before = look_back(states, tile);
  if (tile > 0) *mine = kPrefix | (before + count);
  shared.starts[threadIdx.x] = place;
  shared.targets[threadIdx.x] = progress->counts[pass][threadIdx.x] + before - place;
  __syncthreads();

#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const unsigned digit = digit_of(key[i], pass);
    rank[i] += shared.starts[digit] + shared.counts[warp][digit];
    shared.sorted[rank[i]] = key[i];
  }
  __syncthreads();
  unsigned target[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int at = i * kThreads + threadIdx.x;
    const unsigned sorted = shared.sorted[at];
    target[i] = shared.targets[digit_of(sorted, pass)] + at;
    if (at < filled) keys_out[target[i]] = sorted;
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kPerThread; ++i)
    if (const int from = first + i * 32; from < filled)
      shared.sorted[rank[i]] = values[start + from];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kPerThread; ++i)
    if (const int at = i * kThreads + threadIdx.x; at < filled)
      values_out[target[i]] = shared.sorted[at];
}

}  // namespace

extern "C" void solve(const unsigned int* keys, const unsigned int* values,
                      unsigned int* sorted_keys, unsigned int* sorted_values, int n,
                      cudaStream_t stream) {
  const int tiles = (n - 1) / kTile + 1;
  const size_t bytes =
      sizeof(Progress) + sizeof(unsigned) * kPasses * static_cast<size_t>(tiles) * kDigits;
  Progress* progress = nullptr;
  unsigned* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&progress), bytes, stream);
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(unsigned) * 2 * n, stream);
  cudaMemsetAsync(progress, 0, bytes, stream);
  count_digits<<<min(tiles, 1056), kThreads, 0, stream>>>(keys, n, progress);
  scan_counts<<<kPasses, kThreads, 0, stream>>>(progress);
  for (int pass = 0; pass < kPasses; ++pass) {
    const bool to_scratch = pass % 2 == 0;
    sort_pass<<<tiles, kThreads, 0, stream>>>(pass == 0    ? keys
                                              : to_scratch ? sorted_keys
                                                           : scratch,
                                              pass == 0    ? values
                                              : to_scratch ? sorted_values
                                                           : scratch + n,
                                              to_scratch ? scratch : sorted_keys,
                                              to_scratch ? scratch + n : sorted_values, n, pass,
                                              tiles, progress);
  }
  cudaFreeAsync(scratch, stream);
  cudaFreeAsync(progress, stream);
}
