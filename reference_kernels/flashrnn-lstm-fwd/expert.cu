// Specialist: one launch for all steps. Weights stay in registers as left operands of mma.sync, a
// batch of 8 sequences is the right one, and a thread holds all four gates of its units, so the
// cell is computed where the sums end. Heads of up to 128 units: one block a head and 8 sequences,
// a warp for 16 units; the hidden state goes round in shared memory, double-buffered, with one
// barrier a step; inputs arrive by cp.async three steps ahead. Wider heads: a block for 16 units,
// its warps share the sum over inputs and add up in shared memory; blocks of a head exchange the
// hidden state through memory and wait for each other at a counter (a cooperative launch).
#include <cooperative_groups.h>
#include <cuda_bf16.h>

namespace {

constexpr int kBatch = 8;   // sequences of a product
constexpr int kStages = 4;  // of inputs
constexpr int kWarps = 8;   // of a block of a wide head

__device__ float logistic(float x) { return 1 / (1 + __expf(-x)); }

/// What a hidden unit remembers besides its output.
struct Cell {
  static constexpr int kStates = 1;
  float states[kStates];

  /// The next output.
  __device__ float step(float i, float f, float z, float o) {
    states[0] = logistic(f) * states[0] + logistic(i) * tanhf(z);
    return logistic(o) * tanhf(states[0]);
  }
};

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
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

struct Problem {
  const __nv_bfloat16* __restrict__ wx;
  const __nv_bfloat16* __restrict__ r;
  const __nv_bfloat16* __restrict__ bias;
  const __nv_bfloat16* __restrict__ h0;
  const float* __restrict__ c0;
  __nv_bfloat16* __restrict__ h;
  float* __restrict__ c;
  int batch, length, heads, dim;

  /// First element of a gate's inputs.
  __device__ long long input(int b, int t, int gate, int head) const {
    return (((static_cast<long long>(b) * length + t) * 4 + gate) * heads + head) * dim;
  }
  __device__ long long output(int b, int t, int head) const {
    return ((static_cast<long long>(b) * length + t) * heads + head) * dim;
  }
  __device__ __nv_bfloat16 first_hidden(int b, int head, int unit) const {
    return b < batch && unit < dim ? h0[(static_cast<long long>(b) * heads + head) * dim + unit]
                                   : __float2bfloat16(0.0f);
  }
  __device__ void start(Cell& cell, int b, int head, int unit) const {
    cell.states[0] = b < batch && unit < dim
                         ? c0[(static_cast<long long>(b) * heads + head) * dim + unit]
                         : 0.0f;
  }
  __device__ void store(const Cell& cell, __nv_bfloat16 hidden, int b, int t, int head,
                        int unit) const {
    h[output(b, t, head) + unit] = hidden;
    c[output(b, t, head) + unit] = cell.states[0];
  }
};

/// Rows first_row ... + 15 and columns first_column ... + 15 of a gate's weights; 0 beyond.
__device__ void load_weights(const Problem& p, int gate, int head, int first_row, int first_column,
                             unsigned (&a)[4]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int part = 0; part < 4; ++part) {
    const int row = first_row + lane / 4 + part % 2 * 8;
    const int column = first_column + lane % 4 * 2 + part / 2 * 8;
    const long long at =
        ((static_cast<long long>(gate) * p.heads + head) * p.dim + row) * p.dim + column;
    a[part] = row < p.dim && column < p.dim ? *reinterpret_cast<const unsigned*>(p.r + at) : 0;
  }
}

/// A thread's place among 16 units x 8 sequences: element e is unit lane / 4 + 8 (e / 2) of
/// sequence 2 (lane % 4) + e % 2.
__device__ int unit_of(int e) { return threadIdx.x % 32 / 4 + e / 2 * 8; }
__device__ int sequence_of(int e) { return threadIdx.x % 4 * 2 + e % 2; }

template <int kDim>
__global__ void __launch_bounds__(kDim * 2) narrow_heads(const Problem p) {
  constexpr int kThreads = kDim * 2, kRow = kDim + 8;  // 8: rows begin in different banks
  __shared__ __align__(16) __nv_bfloat16 hidden[2][kBatch][kRow];
  __shared__ __align__(16) __nv_bfloat16 inputs[kStages][kBatch][4][kRow];
  const int head = blockIdx.x, first_sequence = blockIdx.y * kBatch, lane = threadIdx.x % 32;
  const int first_unit = threadIdx.x / 32 * 16;
  unsigned weights[4][kDim / 16][4];
  float biases[4][2];
  Cell cells[4];
#pragma unroll
  for (int gate = 0; gate < 4; ++gate) {
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
      load_weights(p, gate, head, first_unit, i * 16, weights[gate][i]);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int unit = first_unit + lane / 4 + half * 8;
      biases[gate][half] =
          unit < p.dim ? __bfloat162float(p.bias[(gate * p.heads + head) * p.dim + unit]) : 0.0f;
    }
  }
#pragma unroll
  for (int e = 0; e < 4; ++e)
    p.start(cells[e], first_sequence + sequence_of(e), head, first_unit + unit_of(e));
  for (int i = threadIdx.x; i < kBatch * kDim; i += kThreads)
    hidden[0][i / kDim][i % kDim] = p.first_hidden(first_sequence + i / kDim, head, i % kDim);

  const auto fill = [&](int t) {
    for (int i = threadIdx.x; i < kBatch * 4 * kDim / 8; i += kThreads) {
      const int chunk = i % (kDim / 8), gate = i / (kDim / 8) % 4, b = i / (kDim / 2);
      const bool inside = first_sequence + b < p.batch && chunk * 8 < p.dim && t < p.length;
      const unsigned target =
          static_cast<unsigned>(__cvta_generic_to_shared(&inputs[t % kStages][b][gate][chunk * 8]));
      copy_async(target,
                 p.wx + (inside ? p.input(first_sequence + b, t, gate, head) + chunk * 8 : 0),
                 inside);
    }
    commit_copies();
  };
  for (int t = 0; t < kStages - 1; ++t) fill(t);

  for (int t = 0; t < p.length; ++t) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // inputs and the hidden state are here, and the stage before is free
    fill(t + kStages - 1);
    float sums[4][4] = {};
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      const __nv_bfloat16* row = &hidden[t % 2][lane / 4][i * 16 + lane % 4 * 2];
      const unsigned b0 = *reinterpret_cast<const unsigned*>(row);
      const unsigned b1 = *reinterpret_cast<const unsigned*>(row + 8);
#pragma unroll
      for (int gate = 0; gate < 4; ++gate) multiply_add(sums[gate], weights[gate][i], b0, b1);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int unit = first_unit + unit_of(e), sequence = sequence_of(e);
      float gates[4];
#pragma unroll
      for (int gate = 0; gate < 4; ++gate)
        gates[gate] = sums[gate][e] + biases[gate][e / 2] +
                      __bfloat162float(inputs[t % kStages][sequence][gate][unit]);
      const __nv_bfloat16 next =
          __float2bfloat16(cells[e].step(gates[0], gates[1], gates[2], gates[3]));
      hidden[(t + 1) % 2][sequence][unit] = next;
      if (first_sequence + sequence < p.batch && unit < p.dim)
        p.store(cells[e], next, first_sequence + sequence, t, head, unit);
    }
  }
  wait_for_copies<0>();
}

template <int kSteps>
__global__ void __launch_bounds__(32 * kWarps)
    wide_heads(const Problem p, __nv_bfloat16* hidden, float* states) {
  __shared__ float parts[kWarps][4][16][kBatch];
  const cooperative_groups::grid_group grid = cooperative_groups::this_grid();
  const int slices = p.dim / 16, head = blockIdx.x / slices, first_unit = blockIdx.x % slices * 16;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, width = p.heads * p.dim;
  unsigned weights[4][kSteps][4];
#pragma unroll
  for (int gate = 0; gate < 4; ++gate)
#pragma unroll
    for (int i = 0; i < kSteps; ++i)
      load_weights(p, gate, head, first_unit, (warp * kSteps + i) * 16, weights[gate][i]);
  for (int i = threadIdx.x; i < p.batch * 16; i += blockDim.x) {
    const int at = i / 16 * width + head * p.dim + first_unit + i % 16;
    hidden[at] = p.first_hidden(i / 16, head, first_unit + i % 16);
    Cell cell;
    p.start(cell, i / 16, head, first_unit + i % 16);
    for (int s = 0; s < Cell::kStates; ++s) states[s * p.batch * width + at] = cell.states[s];
  }
  for (int t = 0; t < p.length; ++t) {
    grid.sync();  // the hidden state of the step before is in memory
    const __nv_bfloat16* now = hidden + t % 2 * p.batch * width;
    __nv_bfloat16* next = hidden + (t + 1) % 2 * p.batch * width;
    for (int first = 0; first < p.batch; first += kBatch) {
      float sums[4][4] = {};
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        const int column = (warp * kSteps + i) * 16 + lane % 4 * 2;
        const bool inside = first + lane / 4 < p.batch && column < p.dim;
        const __nv_bfloat16* row = now + (first + lane / 4) * width + head * p.dim + column;
        const unsigned b0 = inside ? __ldcg(reinterpret_cast<const unsigned*>(row)) : 0;
        const unsigned b1 = inside ? __ldcg(reinterpret_cast<const unsigned*>(row + 8)) : 0;
#pragma unroll
        for (int gate = 0; gate < 4; ++gate) multiply_add(sums[gate], weights[gate][i], b0, b1);
      }
#pragma unroll
      for (int gate = 0; gate < 4; ++gate)
#pragma unroll
        for (int e = 0; e < 4; ++e) parts[warp][gate][unit_of(e)][sequence_of(e)] = sums[gate][e];
      __syncthreads();
      const int b = first + threadIdx.x / 16, own = threadIdx.x % 16;
      if (threadIdx.x < 16 * kBatch && b < p.batch) {
        float gates[4];
#pragma unroll
        for (int gate = 0; gate < 4; ++gate) {
          const long long at = p.input(b, t, gate, head) + first_unit + own;
          gates[gate] =
              __bfloat162float(p.wx[at]) +
              __bfloat162float(p.bias[(gate * p.heads + head) * p.dim + first_unit + own]);
#pragma unroll
          for (int w = 0; w < kWarps; ++w) gates[gate] += parts[w][gate][own][threadIdx.x / 16];
        }
        const int at = b * width + head * p.dim + first_unit + own;
        Cell cell;
        for (int s = 0; s < Cell::kStates; ++s) cell.states[s] = states[s * p.batch * width + at];
        const __nv_bfloat16 output =
            __float2bfloat16(cell.step(gates[0], gates[1], gates[2], gates[3]));
        for (int s = 0; s < Cell::kStates; ++s) states[s * p.batch * width + at] = cell.states[s];
        next[at] = output;
        p.store(cell, output, b, t, head, first_unit + own);
      }
      __syncthreads();  // the parts have been read
    }
  }
}

template <int kSteps>
void launch_wide(Problem p, cudaStream_t stream) {
  const size_t count = static_cast<size_t>(p.batch) * p.heads * p.dim;
  __nv_bfloat16* hidden = nullptr;
  float* states = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&hidden), 2 * count * sizeof(__nv_bfloat16), stream);
  cudaMallocAsync(reinterpret_cast<void**>(&states), Cell::kStates * count * sizeof(float), stream);
  void* arguments[] = {&p, &hidden, &states};
  cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(wide_heads<kSteps>),
                              dim3(p.heads * p.dim / 16), dim3(32 * kWarps), arguments, 0, stream);
  cudaFreeAsync(states, stream);
  cudaFreeAsync(hidden, stream);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* wx, const __nv_bfloat16* r, const __nv_bfloat16* bias,
                      const __nv_bfloat16* h0, const float* c0, __nv_bfloat16* h, float* c,
                      int batch, int length, int heads, int dim, cudaStream_t stream) {
  const Problem p{wx, r, bias, h0, c0, h, c, batch, length, heads, dim};
  const dim3 grid(heads, (batch + kBatch - 1) / kBatch);
  if (dim <= 64)
    narrow_heads<64><<<grid, 128, 0, stream>>>(p);
  else if (dim <= 128)
    narrow_heads<128><<<grid, 256, 0, stream>>>(p);
  else if (dim <= 256)
    launch_wide<2>(p, stream);
  else if (dim <= 768)
    launch_wide<6>(p, stream);
  else
    launch_wide<8>(p, stream);
}
