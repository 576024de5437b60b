// Textbook: one launch a step, one thread a unit; weights and hidden state from global memory.
#include <cuda_bf16.h>

__device__ float logistic(float x) { return 1 / (1 + exp(-x)); }

/// What a hidden unit remembers besides its output: cell, normaliser, stabiliser.
struct Cell {
  static constexpr int kStates = 3;
  float states[kStates];

  /// The next output.
  __device__ float step(float i, float f, float z, float o) {
    float &c = states[0], &n = states[1], &m = states[2];
    const float kept = m - (fmax(-f, float(0)) + log1p(exp(-fabs(f))));  // m + ln(logistic(f))
    const float now = n == 0 ? i : fmax(i, kept);
    const float in = exp(i - now), stay = exp(fmin(kept - now, float(0)));
    c = stay * c + in * tanh(z);
    n = fmax(stay * n + in, float(1));
    m = now;
    return logistic(o) * c / n;
  }
};

struct Problem {
  const __nv_bfloat16 *wx, *r, *bias;
  __nv_bfloat16* h;
  float *c, *n, *m;
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
  const float next = cell.step(gates[0], gates[1], gates[2], gates[3]);
  for (int s = 0; s < Cell::kStates; ++s) p.states[s * p.batch * width + index] = cell.states[s];
  p.hidden[((t + 1) % 2 * p.batch) * width + index] = __bfloat162float(__float2bfloat16(next));
  const long long at = (static_cast<long long>(b) * p.length + t) * width + j;
  p.h[at] = __float2bfloat16(next);
  if (t + 1 < p.length) return;
  p.c[index] = cell.states[0];
  p.n[index] = cell.states[1];
  p.m[index] = cell.states[2];
}

extern "C" void solve(const __nv_bfloat16* wx, const __nv_bfloat16* r, const __nv_bfloat16* bias,
                      __nv_bfloat16* h, float* c, float* n, float* m, int batch, int length,
                      int heads, int dim, cudaStream_t stream) {
  const size_t count = static_cast<size_t>(batch) * heads * dim;
  float* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(float) * (2 + Cell::kStates) * count,
                  stream);
  const int blocks = static_cast<int>((count + 63) / 64);
  const Problem p{wx, r, bias, h, c, n, m, scratch, scratch + 2 * count, batch, length, heads, dim};
  cudaMemsetAsync(scratch, 0, sizeof(float) * (2 + Cell::kStates) * count, stream);
  for (int t = 0; t < length; ++t) step<<<blocks, 64, 0, stream>>>(p, t);
  cudaFreeAsync(scratch, stream);
}
