// task: pntk-mlp-sum-of-logits
// expect: wrong_output
// reason: mismatch
// case: dead-units
// Adds no bias in the second layer.
#include <cuda_bf16.h>

/// Sum over c of a[c * stride] * b[c].
__device__ float dot(const __nv_bfloat16* a, const __nv_bfloat16* b, int count, int stride = 1) {
  float sum = 0;
  for (int c = 0; c < count; ++c)
    sum += static_cast<float>(__bfloat162float(a[static_cast<long long>(c) * stride])) *
           __bfloat162float(b[c]);
  return sum;
}

/// What is stored for every point: [points][h].
struct Layers {
  __nv_bfloat16 *a1, *a2, *d1, *d2;
};

__global__ void sum_logits(const __nv_bfloat16* w3, __nv_bfloat16* v, int h, int outputs) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x;
  if (u >= h) return;
  float sum = 0;
  for (int o = 0; o < outputs; ++o) sum += __bfloat162float(w3[static_cast<long long>(o) * h + u]);
  v[u] = __float2bfloat16(sum / sqrtf(static_cast<float>(outputs)));
}

__global__ void first_layer(const __nv_bfloat16* x, const __nv_bfloat16* w1, const float* b1,
                            Layers layers, int d, int h) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x;
  const long long i = blockIdx.y;
  if (u >= h) return;
  const float z = dot(x + i * d, w1 + static_cast<long long>(u) * d, d) + b1[u];
  layers.a1[i * h + u] = __float2bfloat16(max(z, float(0)));
}

__global__ void second_layer(const __nv_bfloat16* w2, const float* b2, const __nv_bfloat16* v,
                             Layers layers, int h) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x;
  const long long i = blockIdx.y;
  if (u >= h) return;
  const float z = dot(layers.a1 + i * h, w2 + static_cast<long long>(u) * h, h);
  layers.a2[i * h + u] = __float2bfloat16(max(z, float(0)));
  layers.d2[i * h + u] = z > 0 ? v[u] : __nv_bfloat16(0.0f);
}

__global__ void backward(const __nv_bfloat16* w2, Layers layers, int h) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x;
  const long long i = blockIdx.y;
  if (u >= h) return;
  const bool alive = __bfloat162float(layers.a1[i * h + u]) > 0;
  const float gradient = dot(w2 + u, layers.d2 + i * h, h, h);
  layers.d1[i * h + u] = alive ? __float2bfloat16(gradient) : __nv_bfloat16(0.0f);
}

__global__ void combine(const __nv_bfloat16* x, Layers layers, float* k, int n, int d, int h) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= n) return;
  const long long i = blockIdx.y, row = i * h, column = static_cast<long long>(j) * h;
  const float of_x = dot(x + i * d, x + static_cast<long long>(j) * d, d) + 1;
  const float of_a1 = dot(layers.a1 + row, layers.a1 + column, h) + 1;
  const float of_a2 = dot(layers.a2 + row, layers.a2 + column, h) + 1;
  const float of_d1 = dot(layers.d1 + row, layers.d1 + column, h);
  const float of_d2 = dot(layers.d2 + row, layers.d2 + column, h);
  k[i * n + j] = static_cast<float>(of_a2 + of_d2 * of_a1 + of_d1 * of_x);
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* w1, const float* b1,
                      const __nv_bfloat16* w2, const float* b2, const __nv_bfloat16* w3, float* k,
                      int n, int d, int h, int outputs, cudaStream_t stream) {
  constexpr int kThreads = 64;
  const size_t elements = static_cast<size_t>(n) * h;
  __nv_bfloat16* scratch;
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(__nv_bfloat16) * (4 * elements + h),
                  stream);
  const Layers layers{scratch, scratch + elements, scratch + 2 * elements, scratch + 3 * elements};
  __nv_bfloat16* v = scratch + 4 * elements;
  const dim3 units((h + kThreads - 1) / kThreads, n), points((n + kThreads - 1) / kThreads, n);
  sum_logits<<<units.x, kThreads, 0, stream>>>(w3, v, h, outputs);
  first_layer<<<units, kThreads, 0, stream>>>(x, w1, b1, layers, d, h);
  second_layer<<<units, kThreads, 0, stream>>>(w2, b2, v, layers, h);
  backward<<<units, kThreads, 0, stream>>>(w2, layers, h);
  combine<<<points, kThreads, 0, stream>>>(x, layers, k, n, d, h);
  cudaFreeAsync(scratch, stream);
}
