// Specialist: a block builds a state in shared memory: start state and all rotations about z at
// once, as one phase an amplitude, then the rotations about x as butterflies. States are scaled by
// a power of two to numbers of size 1 and stored as sums of two f16 numbers, real and imaginary
// parts side by side. Overlaps are products on tensor cores in f32 quality, three of the four
// partial products; the imaginary part takes the same tiles, with each pair (re, im) of the second
// factor turned into (im, -re) in registers. Tensor cores cut off what they add to a sum below its
// last bit, always toward zero: over a whole state that would cost 2e-5 of a diagonal entry's
// overlap. So they add up short runs only, 24 products, and ordinary additions, which round to
// nearest, collect the runs. Blocks compute 128 x 64 entries, only those that reach the diagonal or
// lie above it, and write both triangles.
#include <cuda_fp16.h>

namespace {

constexpr int kRows = 128, kColumns = 64;  // of a block
constexpr int kDepth = 32;                 // f16 numbers of a state in one step
constexpr int kThreads = 256;
constexpr int kWarpRows = 32, kWarpColumns = 32;  // of a warp: 4 x 2 warps
constexpr int kChunk = 8;                         // halves in 16 bytes
constexpr int kXBytes = kRows * kDepth * 2, kYBytes = kColumns * kDepth * 2;
constexpr int kStageBytes = 2 * (kXBytes + kYBytes);
constexpr int kStages = 3;
constexpr int kRun = 4;  // steps whose products tensor cores add up: 24 products
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
  const float* __restrict__ x;
  const float* __restrict__ theta;
  const int* __restrict__ edges;
  float* __restrict__ out;
  __half* __restrict__ high;  // [points][depth]: states rounded to f16
  __half* __restrict__ low;   // [points][depth]: what the rounding left
  int points, qubits, edge_count;
  int depth;    // halves of a state, padded to a multiple of kDepth
  float scale;  // of states; a power of two
};

__global__ void __launch_bounds__(kThreads) build(const Problem p) {
  extern __shared__ float2 state[];
  __shared__ float2 starts[12], turns[12];  // (cos, sin) of theta / 2 and of the angle about x
  const int size = 1 << p.qubits;
  const float* angles = p.x + static_cast<long long>(blockIdx.x) * 2 * p.qubits;
  if (threadIdx.x < p.qubits) {
    const int k = threadIdx.x;
    sincosf(p.theta[k] * 0.5f, &starts[k].y, &starts[k].x);
    sincosf(angles[2 * k], &turns[k].y, &turns[k].x);
  }
  __syncthreads();
  for (int b = threadIdx.x; b < size; b += kThreads) {
    float amplitude = p.scale, phase = 0;
    for (int k = 0; k < p.qubits; ++k) {
      const bool one = b >> k & 1;
      amplitude *= one ? starts[k].y : starts[k].x;
      phase += one ? -angles[2 * k + 1] : angles[2 * k + 1];
    }
    for (int e = 0; e < p.edge_count; ++e)
      if (b >> p.edges[2 * e] & b >> p.edges[2 * e + 1] & 1) amplitude = -amplitude;
    float sine, cosine;
    sincosf(phase, &sine, &cosine);
    state[b] = make_float2(amplitude * cosine, amplitude * sine);
  }
  for (int k = 0; k < p.qubits; ++k) {
    __syncthreads();
    const float c = turns[k].x, s = turns[k].y;
    for (int pair = threadIdx.x; pair < size / 2; pair += kThreads) {
      const int b = (pair >> k << (k + 1)) | (pair & ((1 << k) - 1));
      const float2 zero = state[b], one = state[b | 1 << k];
      state[b] = make_float2(c * zero.x - s * one.y, c * zero.y + s * one.x);
      state[b | 1 << k] = make_float2(c * one.x - s * zero.y, c * one.y + s * zero.x);
    }
  }
  __syncthreads();
  const long long to = static_cast<long long>(blockIdx.x) * p.depth;
  for (int i = threadIdx.x; i < p.depth; i += kThreads) {
    const float value = i < 2 * size ? reinterpret_cast<const float*>(state)[i] : 0.0f;
    const __half high = __float2half(value);
    p.high[to + i] = high;
    p.low[to + i] = __float2half(value - __half2float(high));
  }
}

/// Where a 16-byte chunk of a tile lies, permuted against bank conflicts.
__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * 4 + (chunk ^ (row / 2 % 4))) * 16;
}

template <int kTileRows>
__device__ void fill_tile(unsigned tile, const __half* source, const Problem& p, int first,
                          int step) {
#pragma unroll
  for (int i = 0; i < kTileRows * 4 / kThreads; ++i) {
    const int index = threadIdx.x + i * kThreads;
    const int row = index / 4, chunk = index % 4;
    const bool inside = first + row < p.points;
    const long long at =
        inside ? static_cast<long long>(first + row) * p.depth + step * kDepth + chunk * kChunk : 0;
    copy_async(tile + offset_bytes(row, chunk), source + at, inside);
  }
}
__device__ void fill_stage(const Problem& p, unsigned stage, int row, int column, int step) {
  fill_tile<kRows>(stage, p.high, p, row, step);
  fill_tile<kRows>(stage + kXBytes, p.low, p, row, step);
  fill_tile<kColumns>(stage + 2 * kXBytes, p.high, p, column, step);
  fill_tile<kColumns>(stage + 2 * kXBytes + kYBytes, p.low, p, column, step);
}

/// (re, im) to (im, -re).
__device__ unsigned turned(unsigned pair) { return __byte_perm(pair, 0, 0x1032) ^ 0x80000000u; }

struct Sums {
  float re[kWarpRows / 16][kWarpColumns / 8][4] = {};
  float im[kWarpRows / 16][kWarpColumns / 8][4] = {};

  __device__ void add(const Fragment (&a)[kWarpRows / 16], const Fragment (&b)[kWarpColumns / 16]) {
#pragma unroll
    for (int j = 0; j < kWarpColumns / 8; ++j) {
      const unsigned b0 = b[j / 2].registers[j % 2], b1 = b[j / 2].registers[j % 2 + 2];
      const unsigned t0 = turned(b0), t1 = turned(b1);
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i) {
        multiply_add(re[i][j], a[i], b0, b1);
        multiply_add(im[i][j], a[i], t0, t1);
      }
    }
  }

  /// Takes over the sums of a run, which starts again from zero.
  __device__ void collect(Sums& run) {
#pragma unroll
    for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
      for (int j = 0; j < kWarpColumns / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          re[i][j][e] += run.re[i][j][e];
          im[i][j][e] += run.im[i][j][e];
        }
    run = Sums();
  }
};

template <int kCount>
__device__ void load(Fragment (&to)[kCount], unsigned tile, int first, int chunk) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    to[i] = load_matrices(tile + offset_bytes(first + i * 16 + lane % 16, chunk + lane / 16));
}

__device__ void store(const Problem& p, int row, int column, float re, float im) {
  if (row >= p.points || column >= p.points || column < row) return;
  const float unscale = 1.0f / (p.scale * p.scale);
  const float value = (re * re + im * im) * (unscale * unscale);
  p.out[static_cast<long long>(row) * p.points + column] = value;
  p.out[static_cast<long long>(column) * p.points + row] = value;
}

__global__ void __launch_bounds__(kThreads) overlap(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = shared_address(shared);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 2 * kWarpRows, warp_column = warp % 2 * kWarpColumns;
  const int row = blockIdx.y * kRows, column = blockIdx.x * kColumns;
  if (column + kColumns <= row) return;  // below the diagonal
  const int steps = p.depth / kDepth;

  Sums sums, run;
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps) fill_stage(p, base + stage * kStageBytes, row, column, stage);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and the stage before is free for filling
    if (const int next = step + kStages - 1; next < steps)
      fill_stage(p, base + next % kStages * kStageBytes, row, column, next);
    commit_copies();
    const unsigned x_tile = base + step % kStages * kStageBytes, y_tile = x_tile + 2 * kXBytes;
#pragma unroll
    for (int chunk = 0; chunk < 4; chunk += 2) {
      Fragment x_high[kWarpRows / 16], x_low[kWarpRows / 16], y[kWarpColumns / 16];
      load(x_high, x_tile, warp_row, chunk);
      load(x_low, x_tile + kXBytes, warp_row, chunk);
      load(y, y_tile, warp_column, chunk);
      run.add(x_high, y);
      run.add(x_low, y);
      load(y, y_tile + kYBytes, warp_column, chunk);
      run.add(x_high, y);
    }
    if (step % kRun == kRun - 1 || step == steps - 1) sums.collect(run);
  }

#pragma unroll
  for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpColumns / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        store(p, row + warp_row + i * 16 + lane / 4 + e / 2 * 8,
              column + warp_column + j * 8 + lane % 4 * 2 + e % 2, sums.re[i][j][e],
              sums.im[i][j][e]);
}

}  // namespace

extern "C" void solve(const float* x, const float* theta, const int* edges, float* out, int points,
                      int qubits, int edge_count, cudaStream_t stream) {
  const int depth = ((2 << qubits) + kDepth - 1) / kDepth * kDepth;
  const size_t bytes = sizeof(__half) * points * static_cast<size_t>(depth);
  __half *high = nullptr, *low = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&high), bytes, stream);
  cudaMallocAsync(reinterpret_cast<void**>(&low), bytes, stream);
  const Problem p{x,
                  theta,
                  edges,
                  out,
                  high,
                  low,
                  points,
                  qubits,
                  edge_count,
                  depth,
                  static_cast<float>(1 << ((qubits + 1) / 2))};
  build<<<points, kThreads, sizeof(float2) << qubits, stream>>>(p);
  cudaFuncSetAttribute(overlap, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  overlap<<<dim3((points + kColumns - 1) / kColumns, (points + kRows - 1) / kRows), kThreads,
            kSharedBytes, stream>>>(p);
  cudaFreeAsync(low, stream);
  cudaFreeAsync(high, stream);
}
