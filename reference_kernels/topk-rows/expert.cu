// Specialist. An element becomes a 64-bit entry, an order-preserving image of its value above the
// complement of its column: entries are distinct and their order is the order asked for.
//
// Short rows: a warp keeps a row in registers and takes the largest k times by warp reductions.
// Long rows: a block streams a row once, a tile ahead. Elements above a threshold, which is never
// above the k-th largest so far, enter a buffer in shared memory; a crowded buffer is sorted and
// cut to k, which raises the threshold. That happens early, since sorts are what costs: few entries
// are sorted fast, and a few tiles already give a threshold that with shuffled data hardly anything
// reaches later. The first threshold comes from the maxima of the threads' first elements. A tile
// that overflows the buffer is taken again in quarters that fit.
namespace {

constexpr int kThreads = 256;
constexpr int kQuads = 4;  // per thread and tile
constexpr int kTile = kThreads * 4 * kQuads;
constexpr int kCapacity = 2048;  // entries; at least the largest k plus a quarter of a tile
constexpr int kCrowd = 384;      // entries beyond the largest k that are worth a sort
constexpr int kSmallK = 32;      // most for one warp
constexpr unsigned kAll = ~0u;

using Entry = unsigned long long;  // 0: none

__device__ unsigned ordered(float value) {
  const unsigned bits = __float_as_uint(value + 0.0f);  // -0 becomes +0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ float value_of(unsigned image) {
  return __uint_as_float(image & 0x80000000u ? image & 0x7fffffffu : ~image);
}
__device__ Entry entry_of(unsigned image, int column) {
  return static_cast<Entry>(image) << 32 | ~static_cast<unsigned>(column);
}
__device__ float value_of(Entry entry) { return value_of(static_cast<unsigned>(entry >> 32)); }
__device__ int column_of(Entry entry) { return static_cast<int>(~static_cast<unsigned>(entry)); }

/// Images of columns c ... c + 3; 0 beyond the row.
template <bool kAligned>
__device__ uint4 load_images(const float* __restrict__ x, int c, int cols) {
  uint4 images = make_uint4(0, 0, 0, 0);
  if constexpr (kAligned) {
    if (c >= cols) return images;
    const float4 v = __ldcs(reinterpret_cast<const float4*>(x + c));
    images = make_uint4(ordered(v.x), ordered(v.y), ordered(v.z), ordered(v.w));
  } else {
    if (c < cols) images.x = ordered(x[c]);
    if (c + 1 < cols) images.y = ordered(x[c + 1]);
    if (c + 2 < cols) images.z = ordered(x[c + 2]);
    if (c + 3 < cols) images.w = ordered(x[c + 3]);
  }
  return images;
}

template <int kQuadsPerLane, bool kAligned>
__global__ void __launch_bounds__(kThreads)
    short_rows(const float* __restrict__ x, float* __restrict__ values, int* __restrict__ indices,
               int rows, int cols, int k) {
  const int row = blockIdx.x * (kThreads / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  const float* from = x + static_cast<long long>(row) * cols;
  unsigned images[4 * kQuadsPerLane];
#pragma unroll
  for (int q = 0; q < kQuadsPerLane; ++q) {
    const uint4 quad = load_images<kAligned>(from, q * 128 + lane * 4, cols);
    images[4 * q] = quad.x;
    images[4 * q + 1] = quad.y;
    images[4 * q + 2] = quad.z;
    images[4 * q + 3] = quad.w;
  }
  const auto column = [lane](int j) { return j / 4 * 128 + lane * 4 + j % 4; };

  Entry mine = 0;  // lane i keeps the i-th largest
  for (int i = 0; i < k; ++i) {
    unsigned best = 0;
#pragma unroll
    for (const unsigned image : images) best = max(best, image);
    const unsigned winner = __reduce_max_sync(kAll, best);
    int at = 0x7fffffff;  // smallest of this lane's columns that hold it
#pragma unroll
    for (int j = 4 * kQuadsPerLane - 1; j >= 0; --j)
      if (images[j] == winner) at = column(j);
    const int chosen = __reduce_min_sync(kAll, at);
    if (lane == i) mine = entry_of(winner, chosen);
#pragma unroll
    for (int j = 0; j < 4 * kQuadsPerLane; ++j)
      if (column(j) == chosen) images[j] = 0;
  }
  if (lane >= k) return;
  values[static_cast<long long>(row) * k + lane] = value_of(mine);
  indices[static_cast<long long>(row) * k + lane] = column_of(mine);
}

/// The largest entries so far. All methods are called by the whole block.
struct Buffer {
  Entry entries[kCapacity];
  Entry threshold;
  int count;

  __device__ void clear() {
    if (threadIdx.x == 0) {
      threshold = 0;
      count = 0;
    }
    __syncthreads();
  }

  /// Notes the entry if it is above the threshold; its place, which may be beyond the capacity, or
  /// -1. Not a whole-block call.
  __device__ int offer(unsigned image, int column, Entry above) {
    const Entry entry = entry_of(image, column);
    if (image == 0 || entry <= above) return -1;
    const int place = atomicAdd(&count, 1);
    if (place < kCapacity) entries[place] = entry;
    return place;
  }
  /// Four in a row; the last place.
  __device__ int offer(const uint4& images, int column, Entry above) {
    const unsigned best = max(max(images.x, images.y), max(images.z, images.w));
    if (best < static_cast<unsigned>(above >> 32)) return -1;
    const int first = max(offer(images.x, column, above), offer(images.y, column + 1, above));
    const int second = max(offer(images.z, column + 2, above), offer(images.w, column + 3, above));
    return max(first, second);
  }

  /// Sorts the first `size` entries, a power of two, in descending order.
  __device__ void sort(int size) {
    for (int run = 2; run <= size; run *= 2)
      for (int stride = run / 2; stride > 0; stride /= 2) {
        __syncthreads();
        for (int i = threadIdx.x; i < size / 2; i += kThreads) {
          const int low = 2 * i - (i & (stride - 1)), high = low + stride;
          const Entry a = entries[low], b = entries[high];
          if ((a < b) == ((low & run) == 0)) {
            entries[low] = b;
            entries[high] = a;
          }
        }
      }
    __syncthreads();
  }

  /// Leaves the k largest of the entries with columns below `end`, sorted.
  __device__ void cut(int k, int end) {
    __syncthreads();
    const int held = min(count, kCapacity);
    int size = 2;
    while (size < held || size < k) size *= 2;
    for (int i = threadIdx.x; i < size; i += kThreads)
      if (i >= held || column_of(entries[i]) >= end) entries[i] = 0;
    __syncthreads();
    if (threadIdx.x == 0) count = 0;
    sort(size);
    for (int i = threadIdx.x; i < k; i += kThreads)
      if (entries[i] != 0 && (i + 1 == k || entries[i + 1] == 0)) {
        count = i + 1;
        if (i + 1 == k) threshold = entries[i];
      }
    __syncthreads();
  }
};

/// A threshold that k of the first tile's elements reach.
__device__ void guess_threshold(Buffer& buffer, const uint4 (&tile)[kQuads], int k) {
  unsigned best = 0;
#pragma unroll
  for (const uint4& quad : tile) best = max(best, max(max(quad.x, quad.y), max(quad.z, quad.w)));
  buffer.entries[threadIdx.x] = static_cast<Entry>(best) << 32;
  buffer.sort(kThreads);
  if (threadIdx.x == 0) buffer.threshold = buffer.entries[k - 1];
  __syncthreads();
}

template <bool kAligned>
__device__ void load_tile(uint4 (&tile)[kQuads], const float* __restrict__ x, int start, int cols) {
#pragma unroll
  for (int q = 0; q < kQuads; ++q)
    tile[q] = load_images<kAligned>(x, start + (q * kThreads + threadIdx.x) * 4, cols);
}

template <bool kAligned>
__global__ void __launch_bounds__(kThreads)
    long_rows(const float* __restrict__ x, float* __restrict__ values, int* __restrict__ indices,
              int cols, int k) {
  __shared__ Buffer buffer;
  const long long row = blockIdx.x;
  x += row * cols;
  buffer.clear();
  uint4 next[kQuads];
  load_tile<kAligned>(next, x, 0, cols);
  for (int start = 0; start < cols; start += kTile) {
    const int first = start + static_cast<int>(threadIdx.x) * 4;
    uint4 tile[kQuads];
#pragma unroll
    for (int q = 0; q < kQuads; ++q) tile[q] = next[q];
    load_tile<kAligned>(next, x, start + kTile, cols);
    if (start == 0 && cols >= kTile && k <= kThreads) guess_threshold(buffer, tile, k);
    Entry above = buffer.threshold;
    int place = -1;
#pragma unroll
    for (int q = 0; q < kQuads; ++q)
      place = max(place, buffer.offer(tile[q], first + q * kThreads * 4, above));
    if (!__syncthreads_or(place >= k + kCrowd)) continue;
    if (!__syncthreads_or(place >= kCapacity)) {
      buffer.cut(k, cols);
      continue;
    }

    buffer.cut(k, start);  // without this tile
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
      above = buffer.threshold;
      buffer.offer(tile[q], first + q * kThreads * 4, above);
      buffer.cut(k, cols);
    }
  }
  buffer.cut(k, cols);
  for (int i = threadIdx.x; i < k; i += kThreads) {
    values[row * k + i] = value_of(buffer.entries[i]);
    indices[row * k + i] = column_of(buffer.entries[i]);
  }
}

template <bool kAligned>
void choose(const float* x, float* values, int* indices, int rows, int cols, int k,
            cudaStream_t stream) {
  const int blocks = (rows - 1) / (kThreads / 32) + 1;
  if (k <= kSmallK && cols <= 256)
    short_rows<2, kAligned><<<blocks, kThreads, 0, stream>>>(x, values, indices, rows, cols, k);
  else if (k <= kSmallK && cols <= 1024)
    short_rows<8, kAligned><<<blocks, kThreads, 0, stream>>>(x, values, indices, rows, cols, k);
  else
    long_rows<kAligned><<<rows, kThreads, 0, stream>>>(x, values, indices, cols, k);
}

}  // namespace

extern "C" void solve(const float* x, float* values, int* indices, int rows, int cols, int k,
                      cudaStream_t stream) {
  if (cols % 4 == 0)
    choose<true>(x, values, indices, rows, cols, k, stream);
  else
    choose<false>(x, values, indices, rows, cols, k, stream);
}
