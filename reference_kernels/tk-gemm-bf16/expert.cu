// Specialist: tensor cores through mma.sync. A block computes 128 x 256 of c from a pipeline of
// 64-deep tiles in shared memory, filled by 16-byte cp.async and read by ldmatrix; 8 warps compute
// 64 x 64 each. 16-byte chunks of a tile row are permuted by the row number (exclusive or), so that
// neither the copies nor ldmatrix meet bank conflicts. Blocks are numbered in groups of rows, so
// that the ones that run together share tiles in the L2 cache.
#include <cuda_bf16.h>

namespace {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kStages = 4;
constexpr int kThreads = 256;
constexpr int kWarpM = 64, kWarpN = 64;  // of c, per warp: 2 x 4 warps
constexpr int kChunk = 8;                // elements in 16 bytes
constexpr int kStageElements = kTileM * kTileK + kTileK * kTileN;
constexpr int kSharedBytes = kStages * kStageElements * static_cast<int>(sizeof(__nv_bfloat16));
constexpr int kGroup = 8;  // rows of blocks that are numbered together

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// 16 bytes from global to shared memory, or zeros where there are none.
__device__ void copy_async(unsigned target, const __nv_bfloat16* source, bool inside) {
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
__device__ Fragment load_matrices_transposed(unsigned address) {
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.registers[0]), "=r"(f.registers[1]), "=r"(f.registers[2]),
                 "=r"(f.registers[3])
               : "r"(address)
               : "memory");
  return f;
}

/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const Fragment& a, unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.registers[0]), "r"(a.registers[1]), "r"(a.registers[2]), "r"(a.registers[3]), "r"(b0),
        "r"(b1));
}

/// A tile of kRows rows of kColumns elements in shared memory, chunks permuted within each row.
template <int kRows, int kColumns>
struct Tile {
  static constexpr int kChunks = kColumns / kChunk;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }

  /// Copies the part of a row-major matrix that starts at (first_row, first_column).
  static __device__ void fill(unsigned base, const __nv_bfloat16* matrix, int rows, int columns,
                              int row_stride, int first_row, int first_column) {
#pragma unroll
    for (int i = 0; i < kRows * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads;
      const int row = index / kChunks, chunk = index % kChunks;
      const int source_row = first_row + row, source_column = first_column + chunk * kChunk;
      const bool inside = source_row < rows && source_column < columns;
      const long long source = static_cast<long long>(source_row) * row_stride + source_column;
      copy_async(base + offset_bytes(row, chunk), matrix + (inside ? source : 0), inside);
    }
  }
};
using TileA = Tile<kTileM, kTileK>;
using TileB = Tile<kTileK, kTileN>;

struct Problem {
  const __nv_bfloat16* a;
  const __nv_bfloat16* b;
  __nv_bfloat16* c;
  int m, n, k;
  int a_stride, b_stride;  // elements; multiples of 8
};

__device__ void fill_stage(const Problem& p, unsigned stage, int row, int column, int step) {
  TileA::fill(stage, p.a, p.m, p.a_stride, p.a_stride, row, step * kTileK);
  TileB::fill(stage + kTileM * kTileK * sizeof(__nv_bfloat16), p.b, p.k, p.b_stride, p.b_stride,
              step * kTileK, column);
}

/// Row and column of this block's part of c.
__device__ int2 place_of_block(const Problem& p) {
  const int block_rows = (p.m + kTileM - 1) / kTileM, block_columns = (p.n + kTileN - 1) / kTileN;
  const int group = blockIdx.x / (kGroup * block_columns);
  const int rows_in_group = min(kGroup, block_rows - group * kGroup);
  const int within = blockIdx.x % (kGroup * block_columns);
  return make_int2((group * kGroup + within % rows_in_group) * kTileM,
                   within / rows_in_group * kTileN);
}

__device__ void store(const Problem& p, int row, int column, float first, float second) {
  if (row >= p.m) return;
  __nv_bfloat16* target = p.c + static_cast<long long>(row) * p.n + column;
  if (column < p.n)
    *reinterpret_cast<__nv_bfloat162*>(target) = __floats2bfloat162_rn(first, second);
}

__global__ void __launch_bounds__(kThreads) matmul(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const int2 place = place_of_block(p);
  const int steps = (p.k + kTileK - 1) / kTileK;

  float sums[kWarpM / 16][kWarpN / 8][4] = {};
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps)
      fill_stage(p, base + stage * kStageElements * sizeof(__nv_bfloat16), place.x, place.y, stage);
    commit_copies();
  }

  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (const int next = step + kStages - 1; next < steps)
      fill_stage(p, base + next % kStages * kStageElements * sizeof(__nv_bfloat16), place.x,
                 place.y, next);
    commit_copies();

    const unsigned a_tile = base + step % kStages * kStageElements * sizeof(__nv_bfloat16);
    const unsigned b_tile = a_tile + kTileM * kTileK * sizeof(__nv_bfloat16);
#pragma unroll
    for (int inner = 0; inner < kTileK; inner += 16) {
      Fragment a[kWarpM / 16], b[kWarpN / 16];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        a[i] = load_matrices(a_tile + TileA::offset_bytes(warp_row + i * 16 + lane % 16,
                                                          inner / kChunk + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)
        b[j] = load_matrices_transposed(
            b_tile +
            TileB::offset_bytes(inner + lane % 16, (warp_column + j * 16) / kChunk + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2].registers[j % 2 * 2],
                       b[j / 2].registers[j % 2 * 2 + 1]);
    }
  }

#pragma unroll
  for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpN / 8; ++j) {
      const int row = place.x + warp_row + i * 16 + lane / 4;
      const int column = place.y + warp_column + j * 8 + lane % 4 * 2;
      store(p, row, column, sums[i][j][0], sums[i][j][1]);
      store(p, row + 8, column, sums[i][j][2], sums[i][j][3]);
    }
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* c, int m,
                      int n, int k, cudaStream_t stream) {
  const Problem problem{a, b, c, m, n, k, k, n};
  const int blocks = ((m + kTileM - 1) / kTileM) * ((n + kTileN - 1) / kTileN);
  cudaFuncSetAttribute(matmul, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  matmul<<<blocks, kThreads, kSharedBytes, stream>>>(problem);
}
