// Specialist: one pass with decoupled look-back (Merrill and Garland: Single-pass parallel prefix
// scan with decoupled look-back, NVIDIA 2016): each element is read once and written once.
//
// A block takes the next tile by a ticket, so tiles start in order and a block waits only for
// blocks that are already running: no order of scheduling can stop it. It publishes the sum of its
// tile, then its first warp looks back over the tiles before it, 32 at a time, until it meets one
// that knows the sum of everything up to itself.
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr int kVectors = 8;                  // int4 per thread
constexpr int kPerWarp = 32 * 4 * kVectors;  // consecutive elements of a warp
constexpr int kPerTile = kWarps * kPerWarp;
constexpr unsigned kAll = ~0u;

/// What a tile has published: a state in the high half of the word and a sum in the low half, so
/// that one 8-byte access moves both.
using Word = unsigned long long;
constexpr unsigned kNothing = 0;  // what the memset leaves
constexpr unsigned kTileSum = 1;  // sum of this tile
constexpr unsigned kPrefix = 2;   // sum of all tiles up to this one

struct Progress {
  unsigned next_tile;
  unsigned padding;
  Word tiles[1];  // as many as there are tiles
};

__device__ void publish(Word* word, unsigned state, int sum) {
  *static_cast<volatile Word*>(word) = static_cast<Word>(state) << 32 | static_cast<unsigned>(sum);
}

__device__ int inclusive_warp_scan(int value) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(kAll, value, distance);
    if (lane >= distance) value += before;
  }
  return value;
}

/// Sum of all tiles before `tile`. Called by one whole warp.
__device__ int look_back(const Word* tiles, int tile) {
  const int lane = threadIdx.x % 32;
  int sum = 0;
  for (int last = tile - 1; last >= 0; last -= 32) {
    const int mine = last - lane;
    Word word = static_cast<Word>(kPrefix) << 32;  // before the first tile: nothing
    do {
      if (mine >= 0) word = *static_cast<const volatile Word*>(tiles + mine);
    } while (__any_sync(kAll, word >> 32 == kNothing));

    const unsigned complete = __ballot_sync(kAll, word >> 32 == kPrefix);
    const int stop = complete != 0 ? __ffs(complete) - 1 : 31;
    const int part = lane <= stop ? static_cast<int>(static_cast<unsigned>(word)) : 0;
    sum += __reduce_add_sync(kAll, part);
    if (complete != 0) break;
  }
  return sum;
}

/// The elements of one thread: kVectors groups of 4 consecutive ones, 128 apart.
struct Items {
  int4 vectors[kVectors];

  __device__ void load(const int* __restrict__ x, long long first, int n) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const long long i = first + v * 128;
      if (i + 4 <= n) {
        vectors[v] = __ldcs(reinterpret_cast<const int4*>(x + i));
      } else {
        vectors[v] =
            make_int4(i < n ? x[i] : 0, i + 1 < n ? x[i + 1] : 0, i + 2 < n ? x[i + 2] : 0, 0);
      }
    }
  }

  /// Turns the warp's elements into inclusive sums from the warp's first one; returns the last.
  __device__ int scan() {
    int carry = 0;
#pragma unroll
    for (int4& v : vectors) {
      v.y += v.x;
      v.z += v.y;
      v.w += v.z;
      const int through = inclusive_warp_scan(v.w);
      add(v, carry + through - v.w);
      carry += __shfl_sync(kAll, through, 31);
    }
    return carry;
  }

  __device__ void store(int* __restrict__ y, long long first, int n, int before) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const long long i = first + v * 128;
      add(vectors[v], before);
      if (i + 4 <= n) {
        __stcs(reinterpret_cast<int4*>(y + i), vectors[v]);
      } else {
        if (i < n) y[i] = vectors[v].x;
        if (i + 1 < n) y[i + 1] = vectors[v].y;
        if (i + 2 < n) y[i + 2] = vectors[v].z;
      }
    }
  }

  static __device__ void add(int4& v, int summand) {
    v.x += summand;
    v.y += summand;
    v.z += summand;
    v.w += summand;
  }
};

__global__ void __launch_bounds__(kThreads)
    scan(const int* __restrict__ x, int* __restrict__ y, int n, Progress* progress) {
  __shared__ unsigned shared_tile;
  __shared__ int warp_sums[kWarps];
  __shared__ int shared_before;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  if (threadIdx.x == 0) shared_tile = atomicAdd(&progress->next_tile, 1);
  __syncthreads();
  const int tile = static_cast<int>(shared_tile);
  const long long first = static_cast<long long>(tile) * kPerTile + warp * kPerWarp + lane * 4;

  Items items;
  items.load(x, first, n);
  const int warp_sum = items.scan();
  if (lane == 0) warp_sums[warp] = warp_sum;
  __syncthreads();

  int before = 0, tile_sum = 0;  // of the warps before this one, of all
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    before += w < warp ? warp_sums[w] : 0;
    tile_sum += warp_sums[w];
  }
  if (warp == 0) {
    Word* word = progress->tiles + tile;
    if (lane == 0) publish(word, tile == 0 ? kPrefix : kTileSum, tile_sum);
    const int tiles_before = look_back(progress->tiles, tile);
    if (lane == 0) {
      publish(word, kPrefix, tiles_before + tile_sum);
      shared_before = tiles_before;
    }
  }
  __syncthreads();
  items.store(y, first, n, shared_before + before);
}

}  // namespace

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  const int tiles = (n - 1) / kPerTile + 1;
  const size_t bytes = sizeof(Progress) + (tiles - 1) * sizeof(Word);
  Progress* progress = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&progress), bytes, stream);
  cudaMemsetAsync(progress, 0, bytes, stream);
  scan<<<tiles, kThreads, 0, stream>>>(x, y, n, progress);
  cudaFreeAsync(progress, stream);
}
