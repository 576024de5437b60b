// Specialist: implicit matrix product on tensor cores. Rows are pixels of y, columns are filters,
// and the long side runs over filter rows, filter columns and channels. A block computes 128 pixels
// x 256 filters from a pipeline of 64-deep tiles in shared memory; the copies gather 16 bytes
// (eight channels of one pixel) at a time, with zeros outside of the image, and ldmatrix reads
// them; 16-byte chunks of a tile row are permuted by the row number against bank conflicts. 8 warps
// compute 64 x 64 each with mma.sync.
//
// Gathering needs a number of channels that is a multiple of 8. Otherwise x and w are first copied
// into scratch with zeros behind the channels: next to the product that costs little.
#include <cuda_fp16.h>

namespace {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kStages = 4;
constexpr int kThreads = 256;
constexpr int kWarpM = 64, kWarpN = 64;  // of y, per warp: 2 x 4 warps
constexpr int kChunk = 8;                // halves in 16 bytes
constexpr int kChunks = kTileK / kChunk;
constexpr int kStageBytes = (kTileM + kTileN) * kTileK * 2;
constexpr int kSharedBytes = kStages * kStageBytes;
constexpr int kRowStep = kThreads / kChunks;  // rows between the chunks that a thread copies
constexpr int kRowsOfA = kTileM / kRowStep;   // chunks a thread copies of a tile
constexpr int kRowsOfB = kTileN / kRowStep;

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// 16 bytes from global to shared memory, or zeros where there are none.
__device__ void copy_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 16 : 0));
}
__device__ void commit_copies() { asm volatile("cp.async.commit_group;"); }
template <int kPending>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

struct Fragment {
  unsigned registers[4];
};

__device__ Fragment load_matrices(unsigned address) {
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.registers[0]), "=r"(f.registers[1]), "=r"(f.registers[2]),
                 "=r"(f.registers[3])
               : "r"(address)
               : "memory");
  return f;
}

/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const Fragment& a, unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.registers[0]), "r"(a.registers[1]), "r"(a.registers[2]), "r"(a.registers[3]), "r"(b0),
        "r"(b1));
}

/// Where a chunk of a tile lies, in bytes.
__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
}

struct Problem {
  const __half* x;
  const __half* w;
  const __half* bias;
  __half* y;
  int height, width, channels;  // channels: a multiple of 8
  int filters, filter_height, filter_width, stride, pad;
  int out_height, out_width;
  int pixels;  // of y, all images
  int depth;   // filter_height * filter_width * channels
};

/// The pixels of y whose inputs a thread gathers.
struct Gatherer {
  int row[kRowsOfA], column[kRowsOfA];  // of the filter's corner in the image; far outside: none
  long long image[kRowsOfA];            // first element of the image

  __device__ Gatherer(const Problem& p, int first_pixel) {
#pragma unroll
    for (int i = 0; i < kRowsOfA; ++i) {
      const int pixel = first_pixel + threadIdx.x / kChunks + i * kRowStep;
      const int in_image = pixel % (p.out_height * p.out_width);
      row[i] = in_image / p.out_width * p.stride - p.pad;
      column[i] = in_image % p.out_width * p.stride - p.pad;
      image[i] = static_cast<long long>(pixel / (p.out_height * p.out_width)) * p.height * p.width *
                 p.channels;
      if (pixel >= p.pixels) row[i] = -(1 << 28);
    }
  }

  __device__ void fill(const Problem& p, unsigned stage, int step, int first_filter) const {
    const int chunk = threadIdx.x % kChunks, tile_row = threadIdx.x / kChunks;
    const int k = step * kTileK + chunk * kChunk;
    const int tap = k / p.channels, channel = k % p.channels;
    const int down = tap / p.filter_width, right = tap % p.filter_width;
    const bool in_depth = k < p.depth;
#pragma unroll
    for (int i = 0; i < kRowsOfA; ++i) {
      const int r = row[i] + down, c = column[i] + right;
      const bool inside = in_depth && r >= 0 && r < p.height && c >= 0 && c < p.width;
      const long long source =
          image[i] + (static_cast<long long>(r) * p.width + c) * p.channels + channel;
      copy_async(stage + offset_bytes(tile_row + i * kRowStep, chunk), p.x + (inside ? source : 0),
                 inside);
    }
    const unsigned b_tile = stage + kTileM * kTileK * 2;
#pragma unroll
    for (int i = 0; i < kRowsOfB; ++i) {
      const int filter = first_filter + tile_row + i * kRowStep;
      const bool inside = in_depth && filter < p.filters;
      const long long source = static_cast<long long>(filter) * p.depth + k;
      copy_async(b_tile + offset_bytes(tile_row + i * kRowStep, chunk), p.w + (inside ? source : 0),
                 inside);
    }
  }
};

__device__ void store(const Problem& p, int pixel, int filter, float first, float second) {
  if (pixel >= p.pixels || filter >= p.filters) return;
  __half* target = p.y + static_cast<long long>(pixel) * p.filters + filter;
  first = fmaxf(first + __half2float(p.bias[filter]), 0.0f);
  if (filter + 1 < p.filters) second = fmaxf(second + __half2float(p.bias[filter + 1]), 0.0f);
  if (p.filters % 2 == 0) {
    *reinterpret_cast<__half2*>(target) = __floats2half2_rn(first, second);
  } else {
    target[0] = __float2half(first);
    if (filter + 1 < p.filters) target[1] = __float2half(second);
  }
}

__global__ void __launch_bounds__(kThreads) convolution(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const int filter_blocks = (p.filters + kTileN - 1) / kTileN;
  const int first_filter = blockIdx.x % filter_blocks * kTileN;
  const int first_pixel = blockIdx.x / filter_blocks * kTileM;
  const int steps = (p.depth + kTileK - 1) / kTileK;
  const Gatherer gatherer(p, first_pixel);

  float sums[kWarpM / 16][kWarpN / 8][4] = {};
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps) gatherer.fill(p, base + stage * kStageBytes, stage, first_filter);
    commit_copies();
  }

  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (const int next = step + kStages - 1; next < steps)
      gatherer.fill(p, base + next % kStages * kStageBytes, next, first_filter);
    commit_copies();

    const unsigned a_tile = base + step % kStages * kStageBytes;
    const unsigned b_tile = a_tile + kTileM * kTileK * 2;
#pragma unroll
    for (int inner = 0; inner < kTileK; inner += 16) {
      Fragment a[kWarpM / 16], b[kWarpN / 16];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        a[i] = load_matrices(
            a_tile + offset_bytes(warp_row + i * 16 + lane % 16, inner / kChunk + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)
        b[j] = load_matrices(
            b_tile + offset_bytes(warp_column + j * 16 + lane % 16, inner / kChunk + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2].registers[j % 2], b[j / 2].registers[j % 2 + 2]);
    }
  }

#pragma unroll
  for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpN / 8; ++j) {
      const int pixel = first_pixel + warp_row + i * 16 + lane / 4;
      const int filter = first_filter + warp_column + j * 8 + lane % 4 * 2;
      store(p, pixel, filter, sums[i][j][0], sums[i][j][1]);
      store(p, pixel + 8, filter, sums[i][j][2], sums[i][j][3]);
    }
}

/// Copies groups of `channels` halves to groups of `padded` halves, the rest zeros.
__global__ void pad_channels(const __half* __restrict__ source, __half* __restrict__ target,
                             long long groups, int channels, int padded) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < groups * padded; i += stride) {
    const int channel = static_cast<int>(i % padded);
    target[i] = channel < channels ? source[i / padded * channels + channel] : __ushort_as_half(0);
  }
}

const __half* with_padded_channels(const __half* source, long long groups, int channels, int padded,
                                   __half** scratch, cudaStream_t stream) {
  if (channels == padded) return source;
  cudaMallocAsync(reinterpret_cast<void**>(scratch), groups * padded * sizeof(__half), stream);
  pad_channels<<<264, 256, 0, stream>>>(source, *scratch, groups, channels, padded);
  return *scratch;
}

}  // namespace

extern "C" void solve(const __half* x, const __half* w, const __half* bias, __half* y, int images,
                      int height, int width, int channels, int filters, int filter_height,
                      int filter_width, int stride, int pad, cudaStream_t stream) {
  const int padded = (channels + kChunk - 1) / kChunk * kChunk;
  __half *x_scratch = nullptr, *w_scratch = nullptr;
  const long long taps = static_cast<long long>(filter_height) * filter_width;
  Problem p;
  p.x = with_padded_channels(x, static_cast<long long>(images) * height * width, channels, padded,
                             &x_scratch, stream);
  p.w = with_padded_channels(w, filters * taps, channels, padded, &w_scratch, stream);
  p.bias = bias;
  p.y = y;
  p.height = height;
  p.width = width;
  p.channels = padded;
  p.filters = filters;
  p.filter_height = filter_height;
  p.filter_width = filter_width;
  p.stride = stride;
  p.pad = pad;
  p.out_height = (height + 2 * pad - filter_height) / stride + 1;
  p.out_width = (width + 2 * pad - filter_width) / stride + 1;
  p.pixels = images * p.out_height * p.out_width;
  p.depth = static_cast<int>(taps) * padded;
  const int blocks = ((p.pixels + kTileM - 1) / kTileM) * ((filters + kTileN - 1) / kTileN);
  cudaFuncSetAttribute(convolution, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  convolution<<<blocks, kThreads, kSharedBytes, stream>>>(p);
  if (x_scratch != nullptr) cudaFreeAsync(x_scratch, stream);
  if (w_scratch != nullptr) cudaFreeAsync(w_scratch, stream);
}
