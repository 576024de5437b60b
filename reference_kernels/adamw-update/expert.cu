// Specialist: a thread updates eight weights, with 16-byte accesses to all streams and all loads in
// flight before the first is used. Everything is touched once, so nothing is kept in the caches.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 8;

struct Step {
  float lr, b1, b2, eps, wd, inverse_c1, inverse_c2, gscale;

  __device__ void update(float& p, float& m, float& v, float g) const {
    const float h = gscale * g;
    m = b1 * m + (1 - b1) * h;
    v = b2 * v + (1 - b2) * h * h;
    const float root = sqrtf(v * inverse_c2) + eps;
    p -= lr * (__fdividef(m * inverse_c1, root) + wd * p);
  }
};

__device__ void update_one(const Step& step, float* p, float* m, float* v, const __nv_bfloat16* g,
                           __nv_bfloat16* p16, long long i) {
  step.update(p[i], m[i], v[i], __bfloat162float(g[i]));
  p16[i] = __float2bfloat16(p[i]);
}

__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

__global__ void __launch_bounds__(kThreads)
    adamw(float* __restrict__ p, float* __restrict__ m, float* __restrict__ v,
          const __nv_bfloat16* __restrict__ g, __nv_bfloat16* __restrict__ p16, long long n,
          const Step step) {
  const long long first =
      (static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x) * kPerThread;
  if (first + kPerThread > n) {
    for (long long i = first; i < n; ++i) update_one(step, p, m, v, g, p16, i);
    return;
  }
  const uint4 gradients = __ldcs(reinterpret_cast<const uint4*>(g + first));
  float4 weights[2], moments[2], squares[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    weights[half] = __ldcs(reinterpret_cast<const float4*>(p + first) + half);
    moments[half] = __ldcs(reinterpret_cast<const float4*>(m + first) + half);
    squares[half] = __ldcs(reinterpret_cast<const float4*>(v + first) + half);
  }
  const unsigned words[4] = {gradients.x, gradients.y, gradients.z, gradients.w};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const unsigned low = words[2 * half], high = words[2 * half + 1];
    float4 &w = weights[half], &f = moments[half], &s = squares[half];
    step.update(w.x, f.x, s.x, __uint_as_float(low << 16));
    step.update(w.y, f.y, s.y, __uint_as_float(low & 0xffff0000u));
    step.update(w.z, f.z, s.z, __uint_as_float(high << 16));
    step.update(w.w, f.w, s.w, __uint_as_float(high & 0xffff0000u));
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    __stcs(reinterpret_cast<float4*>(p + first) + half, weights[half]);
    __stcs(reinterpret_cast<float4*>(m + first) + half, moments[half]);
    __stcs(reinterpret_cast<float4*>(v + first) + half, squares[half]);
  }
  __stcs(reinterpret_cast<uint4*>(p16 + first),
         make_uint4(
             rounded_pair(weights[0].x, weights[0].y), rounded_pair(weights[0].z, weights[0].w),
             rounded_pair(weights[1].x, weights[1].y), rounded_pair(weights[1].z, weights[1].w)));
}

}  // namespace

extern "C" void solve(float* p, float* m, float* v, const __nv_bfloat16* g, __nv_bfloat16* p16,
                      int n, float lr, float b1, float b2, float eps, float wd, float c1, float c2,
                      float gscale, cudaStream_t stream) {
  const Step step{lr, b1, b2, eps, wd, 1 / c1, 1 / c2, gscale};
  const int blocks = (n - 1) / (kThreads * kPerThread) + 1;
  adamw<<<blocks, kThreads, 0, stream>>>(p, m, v, g, p16, n, step);
}
