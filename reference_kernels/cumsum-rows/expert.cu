// Specialist. Rows of up to 1024 columns: one warp a row, up to 32 elements a lane in registers,
// scanned by shuffles. Longer rows: tiles in one pass with decoupled look-back within the row
// (Merrill and Garland: Single-pass parallel prefix scan with decoupled look-back, NVIDIA 2016), so
// that one row occupies the whole machine and each element is read and written once. Tiles are
// taken by ticket: a block waits only for blocks that are already running.
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kQuads = 8;  // per lane, in tiles of long rows
constexpr int kPerWarp = 32 * 4 * kQuads;
constexpr int kPerTile = kWarps * kPerWarp;
constexpr unsigned kAll = ~0u;

/// What a tile has published: a state in the high half and the bits of a sum in the low half.
using Word = unsigned long long;
constexpr unsigned kNothing = 0;  // what the memset leaves
constexpr unsigned kTileSum = 1;  // sum of this tile
constexpr unsigned kPrefix = 2;   // sum of the row's tiles up to this one

struct Progress {
  unsigned next_tile;
  unsigned padding;
  Word tiles[1];  // as many as there are tiles
};

__device__ void publish(Word* word, unsigned state, float sum) {
  *static_cast<volatile Word*>(word) =
      static_cast<Word>(state) << 32 | static_cast<unsigned>(__float_as_uint(sum));
}

__device__ float inclusive_warp_scan(float value) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const float before = __shfl_up_sync(kAll, value, distance);
    if (lane >= distance) value += before;
  }
  return value;
}

__device__ float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(kAll, value, distance);
  return value;
}

/// Sum of the tiles before `tile` in a row whose tiles start at `tiles`. Called by one whole warp.
__device__ float look_back(const Word* tiles, int tile) {
  const int lane = threadIdx.x % 32;
  float sum = 0;
  for (int last = tile - 1; last >= 0; last -= 32) {
    const int mine = last - lane;
    Word word = static_cast<Word>(kPrefix) << 32;  // before the first tile: nothing
    do {
      if (mine >= 0) word = *static_cast<const volatile Word*>(tiles + mine);
    } while (__any_sync(kAll, word >> 32 == kNothing));

    const unsigned complete = __ballot_sync(kAll, word >> 32 == kPrefix);
    const int stop = complete != 0 ? __ffs(complete) - 1 : 31;
    sum += warp_sum(lane <= stop ? __uint_as_float(static_cast<unsigned>(word)) : 0.0f);
    if (complete != 0) break;
  }
  return sum;
}

/// A row in the order of summation: position i is column i, or column cols - 1 - i.
template <bool kAligned, bool kReverse>
struct Row {
  static __device__ float4 turned(float4 v) {
    return kReverse ? make_float4(v.w, v.z, v.y, v.x) : v;
  }
  static __device__ int column(int position, int cols) {
    return kReverse ? cols - 1 - position : position;
  }

  /// Positions i ... i + 3; zeros beyond the row. i is a multiple of 4.
  static __device__ float4 load(const float* x, int i, int cols) {
    if constexpr (kAligned) {
      if (i >= cols) return make_float4(0, 0, 0, 0);
      return turned(__ldcs(reinterpret_cast<const float4*>(x + (kReverse ? cols - 4 - i : i))));
    } else {
      float values[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) values[e] = i + e < cols ? x[column(i + e, cols)] : 0.0f;
      return make_float4(values[0], values[1], values[2], values[3]);
    }
  }

  static __device__ void store(float* y, int i, int cols, float4 v) {
    if constexpr (kAligned) {
      if (i < cols) __stcs(reinterpret_cast<float4*>(y + (kReverse ? cols - 4 - i : i)), turned(v));
    } else {
      const float values[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int e = 0; e < 4; ++e)
        if (i + e < cols) y[column(i + e, cols)] = values[e];
    }
  }
};

/// kCount quads of a lane, each warp's lanes side by side, the quads 128 positions apart.
template <int kCount>
struct Items {
  float4 quads[kCount];

  template <typename RowOf>
  __device__ void load(const float* x, int first, int cols) {
#pragma unroll
    for (int q = 0; q < kCount; ++q) quads[q] = RowOf::load(x, first + q * 128, cols);
  }

  /// Turns the warp's elements into inclusive sums from the warp's first one; returns the last.
  __device__ float scan() {
    float carry = 0;
#pragma unroll
    for (float4& v : quads) {
      v.y += v.x;
      v.z += v.y;
      v.w += v.z;
      const float through = inclusive_warp_scan(v.w);
      const float before = __shfl_up_sync(kAll, through, 1);
      add(v, carry + (threadIdx.x % 32 == 0 ? 0.0f : before));
      carry += __shfl_sync(kAll, through, 31);
    }
    return carry;
  }

  template <typename RowOf>
  __device__ void store(float* y, int first, int cols, float before) {
#pragma unroll
    for (int q = 0; q < kCount; ++q) {
      add(quads[q], before);
      RowOf::store(y, first + q * 128, cols, quads[q]);
    }
  }

  static __device__ void add(float4& v, float summand) {
    v.x += summand;
    v.y += summand;
    v.z += summand;
    v.w += summand;
  }
};

template <typename RowOf, int kCount>
__global__ void __launch_bounds__(kThreads)
    short_rows(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
  const int row = blockIdx.x * kWarps + threadIdx.x / 32;
  if (row >= rows) return;
  const long long start = static_cast<long long>(row) * cols;
  const int first = threadIdx.x % 32 * 4;
  Items<kCount> items;
  items.template load<RowOf>(x + start, first, cols);
  items.scan();
  items.template store<RowOf>(y + start, first, cols, 0);
}

template <typename RowOf>
__global__ void __launch_bounds__(kThreads)
    long_rows(const float* __restrict__ x, float* __restrict__ y, int cols, int tiles_per_row,
              Progress* progress) {
  __shared__ unsigned shared_tile;
  __shared__ float warp_sums[kWarps];
  __shared__ float shared_before;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  if (threadIdx.x == 0) shared_tile = atomicAdd(&progress->next_tile, 1);
  __syncthreads();
  const int row = static_cast<int>(shared_tile) / tiles_per_row;
  const int tile = static_cast<int>(shared_tile) % tiles_per_row;
  const long long start = static_cast<long long>(row) * cols;
  const int first = tile * kPerTile + warp * kPerWarp + lane * 4;

  Items<kQuads> items;
  items.template load<RowOf>(x + start, first, cols);
  const float sum = items.scan();
  if (lane == 0) warp_sums[warp] = sum;
  __syncthreads();

  float before = 0, tile_sum = 0;  // of the warps before this one, of all
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    before += w < warp ? warp_sums[w] : 0.0f;
    tile_sum += warp_sums[w];
  }
  if (warp == 0) {
    Word* tiles = progress->tiles + static_cast<long long>(row) * tiles_per_row;
    if (lane == 0) publish(tiles + tile, tile == 0 ? kPrefix : kTileSum, tile_sum);
    const float tiles_before = look_back(tiles, tile);
    if (lane == 0) {
      publish(tiles + tile, kPrefix, tiles_before + tile_sum);
      shared_before = tiles_before;
    }
  }
  __syncthreads();
  items.template store<RowOf>(y + start, first, cols, shared_before + before);
}

template <typename RowOf>
void scan(const float* x, float* y, int rows, int cols, cudaStream_t stream) {
  const int blocks = (rows - 1) / kWarps + 1;
  if (cols <= 256) {
    short_rows<RowOf, 2><<<blocks, kThreads, 0, stream>>>(x, y, rows, cols);
  } else if (cols <= 1024) {
    short_rows<RowOf, 8><<<blocks, kThreads, 0, stream>>>(x, y, rows, cols);
  } else {
    const int tiles_per_row = (cols - 1) / kPerTile + 1;
    const int tiles = rows * tiles_per_row;
    const size_t bytes = sizeof(Progress) + (tiles - 1) * sizeof(Word);
    Progress* progress = nullptr;
    cudaMallocAsync(reinterpret_cast<void**>(&progress), bytes, stream);
    cudaMemsetAsync(progress, 0, bytes, stream);
    long_rows<RowOf><<<tiles, kThreads, 0, stream>>>(x, y, cols, tiles_per_row, progress);
    cudaFreeAsync(progress, stream);
  }
}

}  // namespace

extern "C" void solve(const float* x, float* y, int rows, int cols, int reverse,
                      cudaStream_t stream) {
  if (cols % 4 == 0)
    reverse ? scan<Row<true, true>>(x, y, rows, cols, stream)
            : scan<Row<true, false>>(x, y, rows, cols, stream);
  else
    reverse ? scan<Row<false, true>>(x, y, rows, cols, stream)
            : scan<Row<false, false>>(x, y, rows, cols, stream);
}
