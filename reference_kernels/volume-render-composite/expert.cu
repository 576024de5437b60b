// Specialist: one warp a ray. For 32 samples at a time the lanes take a sample each: exponential,
// product scan of the transmittances by shuffles, weight. Then the lanes turn to the colours: a
// group of lanes, as many as a colour has vectors, takes a sample, so that 16 (or 8, or 2) bytes a
// lane are read once, side by side; weights travel by shuffles. Sums are joined at the end of the
// ray.
#include <cuda_fp16.h>

namespace {

constexpr int kThreads = 128;
constexpr unsigned kAll = ~0u;

template <int kWidth>
struct PackOf;
template <>
struct PackOf<8> {
  using Type = uint4;
};
template <>
struct PackOf<4> {
  using Type = uint2;
};
template <>
struct PackOf<1> {
  using Type = unsigned short;
};

__device__ void add_pair(float& first, float& second, unsigned pair, float weight) {
  const float2 values = __half22float2(*reinterpret_cast<const __half2*>(&pair));
  first = fmaf(weight, values.x, first);
  second = fmaf(weight, values.y, second);
}
__device__ void add(float (&sums)[8], const uint4& pack, float weight) {
  add_pair(sums[0], sums[1], pack.x, weight);
  add_pair(sums[2], sums[3], pack.y, weight);
  add_pair(sums[4], sums[5], pack.z, weight);
  add_pair(sums[6], sums[7], pack.w, weight);
}
__device__ void add(float (&sums)[4], const uint2& pack, float weight) {
  add_pair(sums[0], sums[1], pack.x, weight);
  add_pair(sums[2], sums[3], pack.y, weight);
}
__device__ void add(float (&sums)[1], unsigned short pack, float weight) {
  sums[0] = fmaf(weight, __half2float(__ushort_as_half(pack)), sums[0]);
}

__device__ float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(kAll, value, distance);
  return value;
}

struct Problem {
  const float* __restrict__ sigma;
  const __half* __restrict__ color;
  const float* __restrict__ z;
  const float* __restrict__ dnorm;
  __half* __restrict__ rgb;
  float* __restrict__ acc;
  float* __restrict__ depth;
  int rays, samples, channels;
};

/// The weights of a ray, 32 samples at a time.
struct Ray {
  const float* sigma;
  const float* z;
  float norm;
  int samples;
  float transmittance = 1;  // in front of the next 32 samples

  /// Weight of sample start + lane; 0 beyond the ray.
  __device__ float weigh(int start, float& depth) {
    const int s = start + threadIdx.x % 32;
    float opacity = 0, factor = 1;
    depth = 0;
    if (s < samples) {
      depth = __ldg(z + s);
      const float delta = s + 1 < samples ? 100 * (__ldg(z + s + 1) - depth) * norm : 1e10f * norm;
      const float through = __expf(-fmaxf(__ldg(sigma + s), 0.0f) * delta);
      opacity = 1 - through;
      factor = through + 1e-10f;
    }
    float product = factor;
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      const float before = __shfl_up_sync(kAll, product, distance);
      if (threadIdx.x % 32 >= distance) product *= before;
    }
    float before = __shfl_up_sync(kAll, product, 1);
    if (threadIdx.x % 32 == 0) before = 1;
    const float weight = opacity * before * transmittance;
    transmittance *= __shfl_sync(kAll, product, 31);
    return weight;
  }
};

/// lanes: a power of two, how many take one sample.
template <int kWidth>
__global__ void __launch_bounds__(kThreads) composite(const Problem p, int lanes) {
  const long long ray = static_cast<long long>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (ray >= p.rays) return;
  const int lane = threadIdx.x % 32, at_once = 32 / lanes;
  const int packs = p.channels / kWidth;
  const auto* colors =
      reinterpret_cast<const typename PackOf<kWidth>::Type*>(p.color) + ray * p.samples * packs;

  for (int first = 0; first < packs; first += lanes) {  // once, but for very many channels
    const int pack = first + lane % lanes;
    Ray state{p.sigma + ray * p.samples, p.z + ray * p.samples, __ldg(p.dnorm + ray), p.samples};
    float sums[kWidth] = {}, total = 0, depths = 0;
    for (int start = 0; start < p.samples; start += 32) {
      float depth;
      const float weight = state.weigh(start, depth);
      total += weight;
      depths += weight * depth;
      const int count = min(32, p.samples - start);
#pragma unroll 4
      for (int s = 0; s < count; s += at_once) {
        const int sample = s + lane / lanes;
        const float of_sample = __shfl_sync(kAll, weight, sample % 32);
        if (sample < count && pack < packs)
          add(sums, __ldcs(colors + static_cast<long long>(start + sample) * packs + pack),
              of_sample);
      }
    }
    for (int distance = 16; distance >= lanes; distance /= 2)
#pragma unroll
      for (float& sum : sums) sum += __shfl_xor_sync(kAll, sum, distance);
    if (lane < lanes && pack < packs)
#pragma unroll
      for (int c = 0; c < kWidth; ++c)
        p.rgb[ray * p.channels + pack * kWidth + c] = __float2half(sums[c] + state.transmittance);
    if (first > 0) continue;
    total = warp_sum(total);
    depths = warp_sum(depths);
    if (lane == 0) {
      p.acc[ray] = total;
      p.depth[ray] = depths;
    }
  }
}

template <int kWidth>
void launch(const Problem& p, cudaStream_t stream) {
  int lanes = 1;
  while (lanes < 32 && lanes < p.channels / kWidth) lanes *= 2;
  constexpr int kRays = kThreads / 32;
  composite<kWidth><<<(p.rays + kRays - 1) / kRays, kThreads, 0, stream>>>(p, lanes);
}

}  // namespace

extern "C" void solve(const float* sigma, const __half* color, const float* z, const float* dnorm,
                      __half* rgb, float* acc, float* depth, int rays, int samples, int channels,
                      cudaStream_t stream) {
  const Problem p{sigma, color, z, dnorm, rgb, acc, depth, rays, samples, channels};
  if (channels % 8 == 0)
    launch<8>(p, stream);
  else if (channels % 4 == 0)
    launch<4>(p, stream);
  else
    launch<1>(p, stream);
}
