// Specialist: three products for the layers, whose epilogues add biases, apply masks and round, and
// one kernel for the matrix that runs the five products of a tile one after the other and combines
// them in registers: two sums and the total are alive at a time. Tiles of 128 x 64 on or above the
// diagonal only; each entry is written twice. Operands come through shared memory by cp.async,
// three steps deep, 16-byte chunks permuted against bank conflicts. Bound by tensor cores.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 256;
constexpr int kRows = 128, kColumns = 64;  // of a block; 4 x 2 warps of 32 x 32
constexpr int kDepth = 32;                 // of a step
constexpr int kStages = 3;
constexpr int kLeftBytes = kRows * kDepth * 2;
constexpr int kStageBytes = kLeftBytes + kColumns * kDepth * 2;

__device__ void copy_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 16 : 0)
               : "memory");
}
__device__ void commit_copies() { asm volatile("cp.async.commit_group;"); }
template <int kPending>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
__device__ void load_matrices(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
__device__ void load_matrices_transposed(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// 32 x 32 entries of a warp: 16 x 8 blocks.
using Sums = float[2][4][4];

/// An operand of a product: rows of depth elements, or, transposed, depth rows of `rows` elements.
struct Side {
  const __nv_bfloat16* __restrict__ elements;
  int rows;
};

/// Where a 16-byte chunk lies in a tile whose rows have kChunks of them.
template <int kChunks>
__device__ unsigned offset_bytes(int row, int chunk) {
  const int mixed = kChunks == 4 ? row / 2 % 4 : row % 8;
  return static_cast<unsigned>(row * kChunks + (chunk ^ mixed)) * 16;
}

/// Copies rows first ... of a row-major matrix of `rows` x `columns`; zeros outside.
template <int kTileRows, int kTileColumns>
__device__ void fill(unsigned tile, const __nv_bfloat16* elements, int rows, int columns,
                     int first_row, int first_column) {
  constexpr int kChunks = kTileColumns / 8;
#pragma unroll
  for (int i = 0; i < kTileRows * kChunks / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int row = first_row + index / kChunks, column = first_column + index % kChunks * 8;
    const bool inside = row < rows && column < columns;
    copy_async(tile + offset_bytes<kChunks>(index / kChunks, index % kChunks),
               elements + (inside ? static_cast<long long>(row) * columns + column : 0), inside);
  }
}

/// This block's tile of left * right^T, or of left * right where right is transposed. Ends with a
/// barrier: shared memory is free again.
template <bool kTransposed>
__device__ void multiply(Sums& sums, unsigned shared, const Side& left, const Side& right,
                         int depth, int first_row, int first_column) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  const int steps = (depth + kDepth - 1) / kDepth;
  const auto load = [&](int step) {
    if (step < steps) {
      const unsigned stage = shared + step % kStages * kStageBytes;
      fill<kRows, kDepth>(stage, left.elements, left.rows, depth, first_row, step * kDepth);
      if constexpr (kTransposed)
        fill<kDepth, kColumns>(stage + kLeftBytes, right.elements, depth, right.rows, step * kDepth,
                               first_column);
      else
        fill<kColumns, kDepth>(stage + kLeftBytes, right.elements, right.rows, depth, first_column,
                               step * kDepth);
    }
    commit_copies();
  };
  for (auto& row : sums)
    for (auto& block : row)
      for (float& sum : block) sum = 0;
  for (int step = 0; step + 1 < kStages; ++step) load(step);
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    load(step + kStages - 1);
    const unsigned of_left = shared + step % kStages * kStageBytes, of_right = of_left + kLeftBytes;
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
      unsigned a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m)
        load_matrices(a[m], of_left + offset_bytes<kDepth / 8>(warp_row + m * 16 + lane % 16,
                                                               k * 2 + lane / 16));
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        unsigned b[4];
        if constexpr (kTransposed)
          load_matrices_transposed(
              b, of_right + offset_bytes<kColumns / 8>(k * 16 + lane % 16,
                                                       warp_column / 8 + c * 2 + lane / 16));
        else
          load_matrices(b, of_right + offset_bytes<kDepth / 8>(
                                          warp_column + c * 16 + lane / 16 * 8 + lane % 8,
                                          k * 2 + lane / 8 % 2));
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          multiply_add(sums[m][2 * c], a[m], b[0], b[1]);
          multiply_add(sums[m][2 * c + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
  wait_for_copies<0>();
  __syncthreads();
}

/// Calls use(row, column, sum) for this thread's entries inside rows x columns.
template <typename Use>
__device__ void for_entries(const Sums& sums, int first_row, int first_column, int rows,
                            int columns, Use use) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int c = 0; c < 4; ++c)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = first_row + warp / 2 * 32 + m * 16 + lane / 4 + e / 2 * 8;
        const int column = first_column + warp % 2 * 32 + c * 8 + lane % 4 * 2 + e % 2;
        if (row < rows && column < columns) use(row, column, sums[m][c][e]);
      }
}

__device__ unsigned shared_stages() {
  __shared__ __align__(128) unsigned char stages[kStages * kStageBytes];
  return static_cast<unsigned>(__cvta_generic_to_shared(stages));
}

struct Problem {
  const __nv_bfloat16 *x, *w1, *w2;
  const float *b1, *b2;
  __nv_bfloat16 *a1, *a2, *d1, *d2;  // [n][h]
  const __nv_bfloat16* v;            // [h]
  float* k;
  int n, d, h;
};

__global__ void sum_logits(const __nv_bfloat16* __restrict__ w3, __nv_bfloat16* v, int h,
                           int outputs) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x;
  if (u >= h) return;
  float sum = 0;
  for (int o = 0; o < outputs; ++o) sum += __bfloat162float(w3[static_cast<long long>(o) * h + u]);
  v[u] = __float2bfloat16(sum / sqrtf(static_cast<float>(outputs)));
}

__global__ void __launch_bounds__(kThreads, 2) first_layer(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  Sums sums;
  multiply<false>(sums, shared_stages(), Side{p.x, p.n}, Side{p.w1, p.h}, p.d, row, column);
  for_entries(sums, row, column, p.n, p.h, [&](int i, int u, float sum) {
    p.a1[static_cast<long long>(i) * p.h + u] = __float2bfloat16(fmaxf(sum + p.b1[u], 0.0f));
  });
}

__global__ void __launch_bounds__(kThreads, 2) second_layer(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  Sums sums;
  multiply<false>(sums, shared_stages(), Side{p.a1, p.n}, Side{p.w2, p.h}, p.h, row, column);
  for_entries(sums, row, column, p.n, p.h, [&](int i, int u, float sum) {
    const long long at = static_cast<long long>(i) * p.h + u;
    const float z = sum + p.b2[u];
    p.a2[at] = __float2bfloat16(fmaxf(z, 0.0f));
    p.d2[at] = z > 0 ? p.v[u] : __nv_bfloat16(0.0f);
  });
}

__global__ void __launch_bounds__(kThreads, 2) backward(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  Sums sums;
  multiply<true>(sums, shared_stages(), Side{p.d2, p.n}, Side{p.w2, p.h}, p.h, row, column);
  for_entries(sums, row, column, p.n, p.h, [&](int i, int u, float sum) {
    const long long at = static_cast<long long>(i) * p.h + u;
    p.d1[at] = __bfloat162float(p.a1[at]) > 0 ? __float2bfloat16(sum) : __nv_bfloat16(0.0f);
  });
}

/// total += (product of one tensor with itself) * (product of another + 1).
__device__ void add_layer(Sums& total, unsigned shared, const Problem& p,
                          const __nv_bfloat16* gradients, const __nv_bfloat16* activations,
                          int depth, int row, int column) {
  Sums of_gradients, of_activations;
  multiply<false>(of_gradients, shared, Side{gradients, p.n}, Side{gradients, p.n}, p.h, row,
                  column);
  multiply<false>(of_activations, shared, Side{activations, p.n}, Side{activations, p.n}, depth,
                  row, column);
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int c = 0; c < 4; ++c)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        total[m][c][e] += of_gradients[m][c][e] * (of_activations[m][c][e] + 1);
}

__global__ void __launch_bounds__(kThreads) combine(const Problem p) {
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  if (column + kColumns <= row) return;  // below the diagonal
  const unsigned shared = shared_stages();
  Sums total;
  multiply<false>(total, shared, Side{p.a2, p.n}, Side{p.a2, p.n}, p.h, row, column);
  add_layer(total, shared, p, p.d2, p.a1, p.h, row, column);
  add_layer(total, shared, p, p.d1, p.x, p.d, row, column);
  for_entries(total, row, column, p.n, p.n, [&](int i, int j, float sum) {
    if (j < i) return;
    p.k[static_cast<long long>(i) * p.n + j] = sum + 1;
    p.k[static_cast<long long>(j) * p.n + i] = sum + 1;
  });
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w1, const float* b1,
                      const __nv_bfloat16* w2, const float* b2, const __nv_bfloat16* w3, float* k,
                      int n, int d, int h, int outputs, cudaStream_t stream) {
  const size_t elements = static_cast<size_t>(n) * h;
  __nv_bfloat16* scratch;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(__nv_bfloat16) * (4 * elements + h),
                  stream);
  __nv_bfloat16* v = scratch + 4 * elements;
  const Problem p{x,
                  w1,
                  w2,
                  b1,
                  b2,
                  scratch,
                  scratch + elements,
                  scratch + 2 * elements,
                  scratch + 3 * elements,
                  v,
                  k,
                  n,
                  d,
                  h};
  const int rows = (n + kRows - 1) / kRows;
  const dim3 units((h + kColumns - 1) / kColumns, rows);
  sum_logits<<<(h + kThreads - 1) / kThreads, kThreads, 0, stream>>>(w3, v, h, outputs);
  first_layer<<<units, kThreads, 0, stream>>>(p);
  second_layer<<<units, kThreads, 0, stream>>>(p);
  backward<<<units, kThreads, 0, stream>>>(p);
  combine<<<dim3((n + kColumns - 1) / kColumns, rows), kThreads, 0, stream>>>(p);
  cudaFreeAsync(scratch, stream);
}
