// Specialist: all three sums in one launch, in tiles of 128 x 128 pairs; of the two symmetric ones
// only tiles on and above the diagonal are computed, those above count twice. A block keeps 16
// coordinates of its points at a time in shared memory, coordinates outermost, and every thread
// computes 8 x 8 pairs in registers from 16-byte loads, as squares of differences: three
// instructions feed 2 flops a coordinate, so the bound is the rate of f32 arithmetic, and for few
// coordinates that of exponentials. A thread sums 64 values in f32, which a block adds up in f64; a
// second kernel adds the blocks in a fixed order.
namespace {

constexpr int kTile = 128;
constexpr int kSide = 8;    // pairs of a thread, both ways
constexpr int kDepth = 16;  // coordinates in shared memory at a time
constexpr int kThreads = 256;
constexpr float kLog2e = 1.4426950408889634f;

struct Problem {
  const float* __restrict__ x;
  const float* __restrict__ y;
  double* __restrict__ partial;  // one a tile: first x with x, then y with y, then x with y
  int n, m, d;
  float exponent;  // -gamma * log2(e)
  int tiles_x, tiles_y;
  int end_xx, end_yy, end;  // ends of the three kinds of tiles
};

/// Row and column of the t-th tile on or above the diagonal, row by row.
__device__ int2 upper_tile(int t, int tiles) {
  int row = 0;
  while (t >= tiles - row) t -= tiles - row++;
  return make_int2(row, row + t);
}

/// Points first ... first + 127, coordinates start ... start + 15, coordinate by coordinate.
__device__ void fill(float (&to)[kDepth][kTile], const float* __restrict__ points, int count, int d,
                     int first, int start) {
#pragma unroll
  for (int i = 0; i < kTile * kDepth / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int c = index % kDepth, point = index / kDepth;
    const bool inside = first + point < count && start + c < d;
    to[c][point] = inside ? points[static_cast<long long>(first + point) * d + start + c] : 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads) sum_tiles(const Problem p) {
  __shared__ __align__(16) float a[kDepth][kTile], b[kDepth][kTile];
  __shared__ double sums[kThreads / 32];
  const int tile = blockIdx.x;
  const bool xx = tile < p.end_xx, yy = !xx && tile < p.end_yy;
  int2 at;
  if (xx)
    at = upper_tile(tile, p.tiles_x);
  else if (yy)
    at = upper_tile(tile - p.end_xx, p.tiles_y);
  else
    at = make_int2((tile - p.end_yy) / p.tiles_y, (tile - p.end_yy) % p.tiles_y);
  const float* left = yy ? p.y : p.x;
  const float* right = xx ? p.x : p.y;
  const int rows = yy ? p.m : p.n, columns = xx ? p.n : p.m;
  const int row = threadIdx.x / 16 * kSide, column = threadIdx.x % 16 * 4;  // and 64 further on

  float squares[kSide][kSide] = {};
  for (int start = 0; start < p.d; start += kDepth) {
    __syncthreads();
    fill(a, left, rows, p.d, at.x * kTile, start);
    fill(b, right, columns, p.d, at.y * kTile, start);
    __syncthreads();
    const int depth = min(kDepth, p.d - start);
    for (int c = 0; c < depth; ++c) {
      float of_a[kSide], of_b[kSide];
      *reinterpret_cast<float4*>(of_a) = *reinterpret_cast<const float4*>(&a[c][row]);
      *reinterpret_cast<float4*>(of_a + 4) = *reinterpret_cast<const float4*>(&a[c][row + 4]);
      *reinterpret_cast<float4*>(of_b) = *reinterpret_cast<const float4*>(&b[c][column]);
      *reinterpret_cast<float4*>(of_b + 4) = *reinterpret_cast<const float4*>(&b[c][column + 64]);
#pragma unroll
      for (int i = 0; i < kSide; ++i)
#pragma unroll
        for (int j = 0; j < kSide; ++j) {
          const float difference = of_a[i] - of_b[j];
          squares[i][j] = fmaf(difference, difference, squares[i][j]);
        }
    }
  }

  float sum = 0;
#pragma unroll
  for (int i = 0; i < kSide; ++i)
#pragma unroll
    for (int j = 0; j < kSide; ++j) {
      const bool inside =
          at.x * kTile + row + i < rows && at.y * kTile + column + j % 4 + j / 4 * 64 < columns;
      sum += inside ? exp2f(squares[i][j] * p.exponent) : 0.0f;
    }
  double total = sum;
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    total += __shfl_xor_sync(~0u, total, distance);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = total;
  __syncthreads();
  if (threadIdx.x != 0) return;
  total = 0;
  for (const double of_warp : sums) total += of_warp;
  p.partial[tile] = (xx || yy) && at.x != at.y ? 2 * total : total;
}

/// Sum of partial[begin] ... partial[end - 1], by the whole block; all threads get it.
__device__ double sum_range(const double* __restrict__ partial, int begin, int end) {
  __shared__ double sums[32];
  double total = 0;
  for (int i = begin + threadIdx.x; i < end; i += 1024) total += partial[i];
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    total += __shfl_xor_sync(~0u, total, distance);
  __syncthreads();
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = total;
  __syncthreads();
  total = 0;
  for (const double of_warp : sums) total += of_warp;
  return total;
}

__global__ void __launch_bounds__(1024) finish(const Problem p, double* __restrict__ out) {
  const double n = p.n, m = p.m;
  const double xx = sum_range(p.partial, 0, p.end_xx) / (n * n);
  const double yy = sum_range(p.partial, p.end_xx, p.end_yy) / (m * m);
  const double xy = sum_range(p.partial, p.end_yy, p.end) / (n * m);
  if (threadIdx.x != 0) return;
  out[0] = xx;
  out[1] = yy;
  out[2] = xy;
  out[3] = xx + yy - 2 * xy;
}

}  // namespace

extern "C" void solve(const float* x, const float* y, double* out, int n, int m, int d, float gamma,
                      cudaStream_t stream) {
  const int tiles_x = (n + kTile - 1) / kTile, tiles_y = (m + kTile - 1) / kTile;
  const int end_xx = tiles_x * (tiles_x + 1) / 2;
  const int end_yy = end_xx + tiles_y * (tiles_y + 1) / 2;
  const int end = end_yy + tiles_x * tiles_y;
  double* partial = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&partial), sizeof(double) * end, stream);
  const Problem p{x, y, partial, n, m, d, -gamma * kLog2e, tiles_x, tiles_y, end_xx, end_yy, end};
  sum_tiles<<<end, kThreads, 0, stream>>>(p);
  finish<<<1, 1024, 0, stream>>>(p, out);
  cudaFreeAsync(partial, stream);
}
