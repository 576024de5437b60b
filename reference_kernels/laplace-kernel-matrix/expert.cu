// Specialist: the distance comes from r^2 = |x|^2 + |y|^2 - 2 x y, of which x y comes in blocks of
// 128 x 128 that are products on tensor cores in f32 quality: coordinates are split into two f16
// numbers, and three of the four partial products are summed in f32 (the fourth is below f32
// rounding). Tiles of both parts come through shared memory with cp.async, two deep, 16-byte chunks
// permuted against bank conflicts; the kernel function is applied to the sums in registers, and the
// matrix is written once, past the caches.
#include <cuda_fp16.h>

namespace {

constexpr int kTile = 128;  // rows and columns of a block
constexpr int kDepth = 32;  // coordinates of a step
constexpr int kStages = 2;
constexpr int kThreads = 256;
constexpr int kWarpRows = 64, kWarpColumns = 32;  // of a warp: 2 x 4 warps
constexpr int kChunk = 8;                         // halves in 16 bytes
constexpr int kPartBytes = kTile * kDepth * 2;    // one part (high or low) of one side
constexpr int kStageBytes = 4 * kPartBytes;
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

/// One set of points as the products need them.
struct Side {
  const float* __restrict__ coordinates;  // [points][d]
  __half* __restrict__ high;              // [points][depth]: coordinates rounded to f16
  __half* __restrict__ low;               // [points][depth]: what the rounding left
  float2* __restrict__ facts;             // [layers][points]: see describe()
  int points;
};

struct Problem {
  Side x, y;
  float* __restrict__ out;
  int d, depth;  // coordinates of a point; padded to a multiple of kDepth
  int layers;
  float first, second;  // parameters of the kernel function
};

/// Facts of a point: its squared length.
__device__ void describe(const Problem& /*p*/, const Side& side, int point, float square) {
  side.facts[point] = make_float2(square, 0);
}

__device__ float square_root(float x) {
  float root;
  asm("sqrt.approx.f32 %0, %1;" : "=f"(root) : "f"(x));
  return root;
}

/// Turns products of the points row and row + 8 of x with eight points of y into kernel values.
/// p.first: -log2(e) / ell.
__device__ void finish(const Problem& p, float (&products)[kWarpColumns / 8][4], int row,
                       int column) {
  float of_row[2];
#pragma unroll
  for (int half = 0; half < 2; ++half)
    of_row[half] = p.x.facts[min(row + 8 * half, p.x.points - 1)].x;
#pragma unroll
  for (int j = 0; j < kWarpColumns / 8; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float of_column = __ldg(&p.y.facts[min(column + j * 8 + e % 2, p.y.points - 1)].x);
      const float square = of_row[e / 2] + of_column - 2 * products[j][e];
      products[j][e] = exp2f(square_root(fmaxf(square, 0.0f)) * p.first);
    }
}

/// One warp a point: splits it and writes its facts.
__global__ void __launch_bounds__(kThreads) prepare(const Problem p, const Side side) {
  const int point = blockIdx.x * (kThreads / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (point >= side.points) return;
  const float* from = side.coordinates + static_cast<long long>(point) * p.d;
  const long long to = static_cast<long long>(point) * p.depth;
  float square = 0;
  for (int c = lane; c < p.depth; c += 32) {
    const float value = c < p.d ? from[c] : 0.0f;
    const __half high = __float2half(value);
    side.high[to + c] = high;
    side.low[to + c] = __float2half(value - __half2float(high));
    square += value * value;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    square += __shfl_xor_sync(~0u, square, distance);
  if (lane == 0) describe(p, side, point, square);
}

/// Where a 16-byte chunk of a part lies, permuted against bank conflicts.
__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * 4 + (chunk ^ (row / 2 % 4))) * 16;
}

__device__ void fill_part(unsigned part, const __half* source, int points, int depth, int first,
                          int step) {
#pragma unroll
  for (int i = 0; i < kTile * 4 / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int row = index / 4, chunk = index % 4;
    const bool inside = first + row < points;
    const long long at =
        inside ? static_cast<long long>(first + row) * depth + step * kDepth + chunk * kChunk : 0;
    copy_async(part + offset_bytes(row, chunk), source + at, inside);
  }
}
__device__ void fill_stage(const Problem& p, unsigned stage, int row, int column, int step) {
  fill_part(stage, p.x.high, p.x.points, p.depth, row, step);
  fill_part(stage + kPartBytes, p.x.low, p.x.points, p.depth, row, step);
  fill_part(stage + 2 * kPartBytes, p.y.high, p.y.points, p.depth, column, step);
  fill_part(stage + 3 * kPartBytes, p.y.low, p.y.points, p.depth, column, step);
}

/// high * high + high * low + low * high of 16 coordinates.
__device__ void multiply_parts(float (&sums)[kWarpRows / 16][kWarpColumns / 8][4], unsigned stage,
                               int warp_row, int warp_column, int chunk) {
  const int lane = threadIdx.x % 32;
  Fragment high[kWarpRows / 16], b_high[kWarpColumns / 16], other[kWarpRows / 16];
  const auto load_x = [&](Fragment(&to)[kWarpRows / 16], unsigned part) {
#pragma unroll
    for (int i = 0; i < kWarpRows / 16; ++i)
      to[i] = load_matrices(part + offset_bytes(warp_row + i * 16 + lane % 16, chunk + lane / 16));
  };
  const auto load_y = [&](Fragment(&to)[kWarpColumns / 16], unsigned part) {
#pragma unroll
    for (int j = 0; j < kWarpColumns / 16; ++j)
      to[j] =
          load_matrices(part + offset_bytes(warp_column + j * 16 + lane % 16, chunk + lane / 16));
  };
  const auto multiply = [&](const Fragment(&a)[kWarpRows / 16],
                            const Fragment(&b)[kWarpColumns / 16]) {
#pragma unroll
    for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
      for (int j = 0; j < kWarpColumns / 8; ++j)
        multiply_add(sums[i][j], a[i], b[j / 2].registers[j % 2], b[j / 2].registers[j % 2 + 2]);
  };
  load_x(high, stage);
  load_y(b_high, stage + 2 * kPartBytes);
  multiply(high, b_high);
  load_x(other, stage + kPartBytes);
  multiply(other, b_high);
  load_y(b_high, stage + 3 * kPartBytes);
  multiply(high, b_high);
}

__device__ void store(const Problem& p, int row, int column, float first, float second) {
  if (row >= p.x.points || column >= p.y.points) return;
  float* target = p.out + static_cast<long long>(row) * p.y.points + column;
  if (p.y.points % 2 == 0) {
    __stcs(reinterpret_cast<float2*>(target), make_float2(first, second));
  } else {
    target[0] = first;
    if (column + 1 < p.y.points) target[1] = second;
  }
}

__global__ void __launch_bounds__(kThreads, 2) kernel_matrix(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 4 * kWarpRows, warp_column = warp % 4 * kWarpColumns;
  const int first_row = blockIdx.y * kTile, first_column = blockIdx.x * kTile;
  const int steps = p.depth / kDepth;

  float sums[kWarpRows / 16][kWarpColumns / 8][4] = {};
  fill_stage(p, base, first_row, first_column, 0);
  commit_copies();
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps)
      fill_stage(p, base + (step + 1) % kStages * kStageBytes, first_row, first_column, step + 1);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const unsigned stage = base + step % kStages * kStageBytes;
    multiply_parts(sums, stage, warp_row, warp_column, 0);
    multiply_parts(sums, stage, warp_row, warp_column, 2);
    __syncthreads();  // the stage may be filled again
  }

#pragma unroll
  for (int i = 0; i < kWarpRows / 16; ++i) {
    const int row = first_row + warp_row + i * 16 + lane / 4;
    const int column = first_column + warp_column + lane % 4 * 2;
    finish(p, sums[i], row, column);
#pragma unroll
    for (int j = 0; j < kWarpColumns / 8; ++j) {
      store(p, row, column + j * 8, sums[i][j][0], sums[i][j][1]);
      store(p, row + 8, column + j * 8, sums[i][j][2], sums[i][j][3]);
    }
  }
}

template <typename Element>
Element* allocate(size_t count, cudaStream_t stream) {
  void* memory = nullptr;
  cudaMallocAsync(&memory, count * sizeof(Element), stream);
  return static_cast<Element*>(memory);
}

Side make_side(const float* coordinates, int points, int depth, int layers, cudaStream_t stream) {
  const size_t elements = static_cast<size_t>(points) * depth;
  return Side{coordinates, allocate<__half>(elements, stream), allocate<__half>(elements, stream),
              allocate<float2>(static_cast<size_t>(points) * layers, stream), points};
}

void release(const Side& side, cudaStream_t stream) {
  cudaFreeAsync(side.high, stream);
  cudaFreeAsync(side.low, stream);
  cudaFreeAsync(side.facts, stream);
}

void compute(const float* x, const float* y, float* out, int n, int m, int d, int layers,
             float first, float second, cudaStream_t stream) {
  const int depth = (d + kDepth - 1) / kDepth * kDepth;
  const int tables = layers > 1 ? layers : 1;
  const Problem p{make_side(x, n, depth, tables, stream),
                  make_side(y, m, depth, tables, stream),
                  out,
                  d,
                  depth,
                  layers,
                  first,
                  second};
  constexpr int kPoints = kThreads / 32;
  prepare<<<(n + kPoints - 1) / kPoints, kThreads, 0, stream>>>(p, p.x);
  prepare<<<(m + kPoints - 1) / kPoints, kThreads, 0, stream>>>(p, p.y);
  cudaFuncSetAttribute(kernel_matrix, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  kernel_matrix<<<dim3((m + kTile - 1) / kTile, (n + kTile - 1) / kTile), kThreads, kSharedBytes,
                  stream>>>(p);
  release(p.x, stream);
  release(p.y, stream);
}

}  // namespace

extern "C" void solve(const float* x, const float* y, float* out, int n, int m, int d, float ell,
                      cudaStream_t stream) {
  compute(x, y, out, n, m, d, 1, -1.4426950408889634f / ell, 0, stream);
}
