// task: flashrnn-lstm-fwd
// expect: wrong_output
// reason: mismatch
// case: ragged
// Exchanges input and forget gates.
#include <cuda_bf16.h>

__device__ float logistic(float x) { return 1 / (1 + exp(-x)); }

/// What a hidden unit remembers besides its output.
struct Cell {
  static constexpr int kStates = 1;
  float states[kStates];

  /// The next output.
  __device__ float step(float i, float f, float z, float o) {
    states[0] = logistic(f) * states[0] + logistic(i) * tanh(z);
    return logistic(o) * tanh(states[0]);
  }
};

struct Problem {
  const __nv_bfloat16 *wx, *r, *bias;
  __nv_bfloat16* h;
  float* c;
  float* hidden;  // [2][batch][heads][dim]: even and odd steps
  float* states;  // [kStates][batch][heads][dim]
  int batch, length, heads, dim;
};

__global__ void step(const Problem p, int t) {
  const int width = p.heads * p.dim, index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= p.batch * width) return;
  const int b = index / width, j = index % width, first = j / p.dim * p.dim;
  const float* hidden = p.hidden + (t % 2 * p.batch + b) * width + first;
  float gates[4];
  for (int g = 0; g < 4; ++g) {
    gates[g] =
        static_cast<float>(__bfloat162float(p.bias[g * width + j])) +
        __bfloat162float(p.wx[((static_cast<long long>(b) * p.length + t) * 4 + g) * width + j]);
    const __nv_bfloat16* row = p.r + (static_cast<long long>(g) * width + j) * p.dim;
    for (int i = 0; i < p.dim; ++i) gates[g] += __bfloat162float(row[i]) * hidden[i];
  }
  Cell cell;
  for (int s = 0; s < Cell::kStates; ++s) cell.states[s] = p.states[s * p.batch * width + index];
  const float next = cell.step(gates[1], gates[0], gates[2], gates[3]);
  for (int s = 0; s < Cell::kStates; ++s) p.states[s * p.batch * width + index] = cell.states[s];
  p.hidden[((t + 1) % 2 * p.batch) * width + index] = __bfloat162float(__float2bfloat16(next));
  const long long at = (static_cast<long long>(b) * p.length + t) * width + j;
  p.h[at] = __float2bfloat16(next);
  p.c[at] = cell.states[0];
}

__global__ void start(const Problem p, const __nv_bfloat16* h0, const float* c0) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x, count = p.batch * p.heads * p.dim;
  if (index >= count) return;
  p.hidden[index] = __bfloat162float(h0[index]);
  p.states[index] = c0[index];
}

extern "C" void solve(const __nv_bfloat16* wx, const __nv_bfloat16* r, const __nv_bfloat16* bias,
                      const __nv_bfloat16* h0, const float* c0, __nv_bfloat16* h, float* c,
                      int batch, int length, int heads, int dim, cudaStream_t stream) {
  const size_t count = static_cast<size_t>(batch) * heads * dim;
  float* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(float) * (2 + Cell::kStates) * count,
                  stream);
  const int blocks = static_cast<int>((count + 63) / 64);
  const Problem p{wx, r, bias, h, c, scratch, scratch + 2 * count, batch, length, heads, dim};
  start<<<blocks, 64, 0, stream>>>(p, h0, c0);
  for (int t = 0; t < length; ++t) step<<<blocks, 64, 0, stream>>>(p, t);
  cudaFreeAsync(scratch, stream);
}
