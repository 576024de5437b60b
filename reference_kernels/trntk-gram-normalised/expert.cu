// Specialist: the long side is split into pieces of 8192 elements, one block a piece and a 128 x
// 128 tile on or above the diagonal, so that all multiprocessors work although the matrix is small,
// and accumulators of tensor cores stay short. Blocks of a piece are neighbours and share its rows
// in the L2 cache: g is read from memory once. Tiles come through shared memory with cp.async, four
// deep, 16-byte chunks permuted against bank conflicts. A second kernel adds the pieces in f64 in a
// fixed order, normalises and writes both triangles.
//
// Copies of 16 bytes need rows that start at multiples of 8 elements; otherwise g is first copied
// into scratch with padded rows.
#include <cuda_fp16.h>

namespace {

constexpr int kTile = 128, kDepth = 64;
constexpr int kStages = 4;
constexpr int kThreads = 256;
constexpr int kPiece = 8192;
constexpr int kWarpRows = 64, kWarpColumns = 32;  // of a warp: 2 x 4 warps
constexpr int kChunk = 8;                         // halves in 16 bytes
constexpr int kChunks = kDepth / kChunk;
constexpr int kTileBytes = kTile * kDepth * 2;
constexpr int kStageBytes = 2 * kTileBytes;
constexpr int kSharedBytes = kStages * kStageBytes;

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

struct Problem {
  const __half* g;
  float* partial;  // [pieces][tiles][kTile][kTile]
  float* out;
  int n, p;  // p: a multiple of 8
  int side;  // tiles along one side
  int tiles, pieces;
};

/// Row and column of the t-th tile on or above the diagonal, row by row.
__device__ int2 upper_tile(int t, int side) {
  int row = 0;
  while (t >= side - row) t -= side - row++;
  return make_int2(row, row + t);
}

__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
}

/// Rows of g from `first` on, elements from `start` on.
__device__ void fill_tile(const Problem& p, unsigned tile, int first, int start, int end) {
#pragma unroll
  for (int i = 0; i < kTile * kChunks / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int row = index / kChunks, chunk = index % kChunks;
    const int k = start + chunk * kChunk;
    const bool inside = first + row < p.n && k < end;
    const long long at = inside ? static_cast<long long>(first + row) * p.p + k : 0;
    copy_async(tile + offset_bytes(row, chunk), p.g + at, inside);
  }
}

__global__ void __launch_bounds__(kThreads) multiply(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 4 * kWarpRows, warp_column = warp % 4 * kWarpColumns;
  const int piece = blockIdx.x / p.tiles, tile = blockIdx.x % p.tiles;
  const int2 at = upper_tile(tile, p.side);
  const int begin = piece * kPiece, end = min(begin + kPiece, p.p);
  const int steps = (end - begin + kDepth - 1) / kDepth;
  const auto fill = [&](int step) {
    const unsigned stage = base + step % kStages * kStageBytes;
    fill_tile(p, stage, at.x * kTile, begin + step * kDepth, end);
    fill_tile(p, stage + kTileBytes, at.y * kTile, begin + step * kDepth, end);
  };

  float sums[kWarpRows / 16][kWarpColumns / 8][4] = {};
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) fill(step);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (step + kStages - 1 < steps) fill(step + kStages - 1);
    commit_copies();
    const unsigned a_tile = base + step % kStages * kStageBytes, b_tile = a_tile + kTileBytes;
#pragma unroll
    for (int chunk = 0; chunk < kChunks; chunk += 2) {
      Fragment a[kWarpRows / 16], b[kWarpColumns / 16];
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i)
        a[i] =
            load_matrices(a_tile + offset_bytes(warp_row + i * 16 + lane % 16, chunk + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpColumns / 16; ++j)
        b[j] = load_matrices(b_tile +
                             offset_bytes(warp_column + j * 16 + lane % 16, chunk + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpColumns / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2].registers[j % 2], b[j / 2].registers[j % 2 + 2]);
    }
  }

  float* to = p.partial + static_cast<long long>(blockIdx.x) * kTile * kTile;
#pragma unroll
  for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpColumns / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = warp_row + i * 16 + lane / 4 + 8 * half;
        const int column = warp_column + j * 8 + lane % 4 * 2;
        *reinterpret_cast<float2*>(to + row * kTile + column) =
            make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
}

/// Sum of the pieces of entry (i, j), j in the same tile as i or in a later one.
__device__ double total(const Problem& p, int i, int j) {
  const int row = i / kTile, column = j / kTile;
  const int tile = row * p.side - row * (row - 1) / 2 + column - row;
  double sum = 0;
  for (int piece = 0; piece < p.pieces; ++piece)
    sum += p.partial[(static_cast<long long>(piece) * p.tiles + tile) * kTile * kTile +
                     i % kTile * kTile + j % kTile];
  return sum;
}

__global__ void __launch_bounds__(kThreads) add_squares(const Problem p, double* squares) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < p.n) squares[i] = total(p, i, i);
}

__global__ void __launch_bounds__(kThreads) normalise(const Problem p, const double* squares) {
  const int j = blockIdx.x * kThreads + threadIdx.x, i = blockIdx.y;
  if (j >= p.n || j < i) return;
  const double scale = squares[i] * squares[j];
  const float cosine = scale > 0 ? static_cast<float>(total(p, i, j) / sqrt(scale)) : 0.0f;
  p.out[static_cast<long long>(i) * p.n + j] = cosine;
  p.out[static_cast<long long>(j) * p.n + i] = cosine;
}

__global__ void pad_rows(const __half* __restrict__ from, __half* __restrict__ to, int n, int p,
                         int padded) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < static_cast<long long>(n) * padded; i += stride)
    to[i] = i % padded < p ? from[i / padded * p + i % padded] : __ushort_as_half(0);
}

template <typename Element>
Element* allocate(size_t count, cudaStream_t stream) {
  void* memory = nullptr;
  cudaMallocAsync(&memory, count * sizeof(Element), stream);
  return static_cast<Element*>(memory);
}

}  // namespace

extern "C" void solve(const __half* g, float* out, int n, int p, cudaStream_t stream) {
  const int padded = (p + kChunk - 1) / kChunk * kChunk;
  __half* scratch = nullptr;
  if (padded != p) {
    scratch = allocate<__half>(static_cast<size_t>(n) * padded, stream);
    pad_rows<<<1056, 256, 0, stream>>>(g, scratch, n, p, padded);
  }
  Problem problem{scratch != nullptr ? scratch : g, nullptr, out, n, padded, 0, 0, 0};
  problem.side = (n + kTile - 1) / kTile;
  problem.tiles = problem.side * (problem.side + 1) / 2;
  problem.pieces = (padded + kPiece - 1) / kPiece;
  const int blocks = problem.pieces * problem.tiles;
  problem.partial = allocate<float>(static_cast<size_t>(blocks) * kTile * kTile, stream);
  double* squares = allocate<double>(n, stream);
  cudaFuncSetAttribute(multiply, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  multiply<<<blocks, kThreads, kSharedBytes, stream>>>(problem);
  const int columns = (n + kThreads - 1) / kThreads;
  add_squares<<<columns, kThreads, 0, stream>>>(problem, squares);
  normalise<<<dim3(columns, n), kThreads, 0, stream>>>(problem, squares);
  cudaFreeAsync(squares, stream);
  cudaFreeAsync(problem.partial, stream);
  if (scratch != nullptr) cudaFreeAsync(scratch, stream);
}
