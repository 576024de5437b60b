// Specialist: tensor cores through mma.sync. A block computes 128 x 256 of y from a pipeline of
// 64-deep tiles in shared memory, filled by 16-byte cp.async: activations in f16, read by ldmatrix,
// and weights as they are packed, four words a row. The four lanes that share a column of a
// fragment read one word and cut their pairs out of it: a pair of codes becomes 1024 + c by an OR
// with the bits of 1024, and c - 1 by a subtraction, exactly. 8 warps compute 64 x 64 each; the
// scale is applied in registers.
//
// Copies of 16 bytes need a number of words a row that is a multiple of 4; otherwise the words are
// first copied into scratch with padded rows.
#include <cuda_fp16.h>

namespace {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kStages = 4;
constexpr int kThreads = 256;
constexpr int kWarpM = 64, kWarpN = 64;  // of y, per warp: 2 x 4 warps
constexpr int kChunk = 8;                // halves in 16 bytes
constexpr int kChunks = kTileK / kChunk;
constexpr int kWords = kTileK / 16;  // of a row of weights in a tile
constexpr int kXBytes = kTileM * kTileK * 2, kWeightBytes = kTileN * kWords * 4;
constexpr int kStageBytes = kXBytes + kWeightBytes;
constexpr int kSharedBytes = kStages * kStageBytes;
constexpr int kGroup = 8;  // rows of blocks that are numbered together, to share tiles in L2

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

__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
}

struct Problem {
  const __half* x;
  const unsigned* packed;
  const float* gamma;
  __half* y;
  int m, rows, cols, words;  // words: of a row of packed, a multiple of 4
  int rows_of_shard;
};

__device__ void fill_stage(const Problem& p, unsigned stage, int row, int column, int step) {
#pragma unroll
  for (int i = 0; i < kTileM * kChunks / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int tile_row = index / kChunks, chunk = index % kChunks;
    const int k = step * kTileK + chunk * kChunk;
    const bool inside = row + tile_row < p.m && k < p.cols;
    const long long source = static_cast<long long>(row + tile_row) * p.cols + k;
    copy_async(stage + offset_bytes(tile_row, chunk), p.x + (inside ? source : 0), inside);
  }
  const bool inside = column + static_cast<int>(threadIdx.x) < p.rows && step * kWords < p.words;
  const long long source = static_cast<long long>(column + threadIdx.x) * p.words + step * kWords;
  copy_async(stage + kXBytes + threadIdx.x * 16, p.packed + (inside ? source : 0), inside);
}
static_assert(kTileN == kThreads && kWords == 4);

/// Two codes (bits 0, 1 and 16, 17) as a pair of weights.
__device__ unsigned weights_of(unsigned codes) {
  const unsigned shifted = codes | 0x64006400u;  // 1024 + c
  const __half2 weights =
      __hsub2(*reinterpret_cast<const __half2*>(&shifted),
              __halves2half2(__ushort_as_half(0x6401), __ushort_as_half(0x6401)));
  return *reinterpret_cast<const unsigned*>(&weights);
}

/// Row and column of this block's part of y.
__device__ int2 place_of_block(const Problem& p) {
  const int block_rows = (p.m + kTileM - 1) / kTileM,
            block_columns = (p.rows + kTileN - 1) / kTileN;
  const int group = blockIdx.x / (kGroup * block_columns);
  const int rows_in_group = min(kGroup, block_rows - group * kGroup);
  const int within = blockIdx.x % (kGroup * block_columns);
  return make_int2((group * kGroup + within % rows_in_group) * kTileM,
                   within / rows_in_group * kTileN);
}

__device__ void store(const Problem& p, int row, int column, float first, float second) {
  if (row >= p.m || column >= p.rows) return;
  __half* target = p.y + static_cast<long long>(row) * p.rows + column;
  first *= __ldg(p.gamma + column / p.rows_of_shard);
  if (column + 1 < p.rows) second *= __ldg(p.gamma + (column + 1) / p.rows_of_shard);
  if (p.rows % 2 == 0) {
    *reinterpret_cast<__half2*>(target) = __floats2half2_rn(first, second);
  } else {
    target[0] = __float2half(first);
    if (column + 1 < p.rows) target[1] = __float2half(second);
  }
}

__global__ void __launch_bounds__(kThreads) multiply(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const int2 place = place_of_block(p);
  const int steps = (p.cols + kTileK - 1) / kTileK;

  float sums[kWarpM / 16][kWarpN / 8][4] = {};
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps) fill_stage(p, base + stage * kStageBytes, place.x, place.y, stage);
    commit_copies();
  }

  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (const int next = step + kStages - 1; next < steps)
      fill_stage(p, base + next % kStages * kStageBytes, place.x, place.y, next);
    commit_copies();

    const unsigned stage = step % kStages * kStageBytes;
    const auto* words = reinterpret_cast<const unsigned*>(shared + stage + kXBytes);
#pragma unroll
    for (int inner = 0; inner < kTileK / 16; ++inner) {
      Fragment a[kWarpM / 16];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        a[i] = load_matrices(base + stage +
                             offset_bytes(warp_row + i * 16 + lane % 16, inner * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 8; ++j) {
        const unsigned word =
            words[(warp_column + j * 8 + lane / 4) * kWords + inner] >> (lane % 4 * 4);
        const unsigned b0 = weights_of((word & 3) | (word << 14 & 0x30000));
        const unsigned b1 = weights_of((word >> 16 & 3) | (word >> 2 & 0x30000));
#pragma unroll
        for (int i = 0; i < kWarpM / 16; ++i) multiply_add(sums[i][j], a[i], b0, b1);
      }
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

__global__ void pad_rows(const unsigned* __restrict__ from, unsigned* __restrict__ to, int rows,
                         int words, int padded) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < static_cast<long long>(rows) * padded; i += stride)
    to[i] = i % padded < words ? from[i / padded * words + i % padded] : 0;
}

}  // namespace

extern "C" void solve(const __half* x, const unsigned int* packed, const float* gamma, __half* y,
                      int m, int rows, int cols, int shards, cudaStream_t stream) {
  const int words = cols / 16, padded = (words + kWords - 1) / kWords * kWords;
  unsigned* scratch = nullptr;
  if (padded != words) {
    cudaMallocAsync(reinterpret_cast<void**>(&scratch),
                    static_cast<size_t>(rows) * padded * sizeof(unsigned), stream);
    pad_rows<<<528, 256, 0, stream>>>(packed, scratch, rows, words, padded);
  }
  const Problem p{
      x, scratch != nullptr ? scratch : packed, gamma, y, m, rows, cols, padded, rows / shards};
  const int blocks = ((m + kTileM - 1) / kTileM) * ((rows + kTileN - 1) / kTileN);
  cudaFuncSetAttribute(multiply, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  multiply<<<blocks, kThreads, kSharedBytes, stream>>>(p);
  if (scratch != nullptr) cudaFreeAsync(scratch, stream);
}
