// Specialist: a thread updates two runs of four weights, so that neighbouring lanes touch
// neighbouring 16 bytes of every stream: no sector is visited twice. All loads are in flight before
// the first is used; everything is touched once, so nothing is kept in the caches. Where a large
// step nearly cancels its weight, rounding of the step would show in what is left: that is done in
// double.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 256;
constexpr int kRun = 4;   // weights in 16 bytes
constexpr int kRuns = 2;  // of a thread

struct Step {
  float lr, b1, b2, eps, wd, c1, c2, gscale, inverse_c1, inverse_c2;

  __device__ void update(float& p, float& m, float& v, float g) const {
    const float h = gscale * g;
    m = b1 * m + (1 - b1) * h;
    v = b2 * v + (1 - b2) * h * h;
    const float root = sqrtf(v * inverse_c2) + eps;
    const float step = lr * (__fdividef(m * inverse_c1, root) + wd * p);
    const float next = p - step;
    p = fabsf(next) < kCancelled * fabsf(step) ? careful(p, m, v) : next;
  }

 private:
  static constexpr float kCancelled = 1;

  /// From the moments as they are stored: their roundings are far below the step's other ones.
  __device__ float careful(float p, float m, float v) const {
    const double root = sqrt(v / static_cast<double>(c2)) + eps;
    return static_cast<float>(p - lr * (m / (c1 * root) + static_cast<double>(wd) * p));
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
  constexpr int kTile = kThreads * kRun;
  const long long first = static_cast<long long>(blockIdx.x) * (kTile * kRuns);
  if (first + kTile * kRuns > n) {
    for (long long i = first + threadIdx.x; i < n; i += kThreads)
      update_one(step, p, m, v, g, p16, i);
    return;
  }
  const long long own = first / kRun + threadIdx.x;
  uint2 gradients[kRuns];
  float4 weights[kRuns], moments[kRuns], squares[kRuns];
#pragma unroll
  for (int r = 0; r < kRuns; ++r) {
    const long long at = own + r * kThreads;
    gradients[r] = __ldcs(reinterpret_cast<const uint2*>(g) + at);
    weights[r] = __ldcs(reinterpret_cast<const float4*>(p) + at);
    moments[r] = __ldcs(reinterpret_cast<const float4*>(m) + at);
    squares[r] = __ldcs(reinterpret_cast<const float4*>(v) + at);
  }
#pragma unroll
  for (int r = 0; r < kRuns; ++r) {
    float4 &w = weights[r], &f = moments[r], &s = squares[r];
    const unsigned low = gradients[r].x, high = gradients[r].y;
    step.update(w.x, f.x, s.x, __uint_as_float(low << 16));
    step.update(w.y, f.y, s.y, __uint_as_float(low & 0xffff0000u));
    step.update(w.z, f.z, s.z, __uint_as_float(high << 16));
    step.update(w.w, f.w, s.w, __uint_as_float(high & 0xffff0000u));
    const long long at = own + r * kThreads;
    __stcs(reinterpret_cast<float4*>(p) + at, w);
    __stcs(reinterpret_cast<float4*>(m) + at, f);
    __stcs(reinterpret_cast<float4*>(v) + at, s);
    __stcs(reinterpret_cast<uint2*>(p16) + at,
           make_uint2(rounded_pair(w.x, w.y), rounded_pair(w.z, w.w)));
  }
}

}  // namespace

extern "C" void solve(float* p, float* m, float* v, const __nv_bfloat16* g, __nv_bfloat16* p16,
                      int n, float lr, float b1, float b2, float eps, float wd, float c1, float c2,
                      float gscale, cudaStream_t stream) {
  const Step step{lr, b1, b2, eps, wd, c1, c2, gscale, 1 / c1, 1 / c2};
  const int blocks = (n - 1) / (kThreads * kRun * kRuns) + 1;
  adamw<<<blocks, kThreads, 0, stream>>>(p, m, v, g, p16, n, step);
}
