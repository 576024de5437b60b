// Specialist: one warp a ray. For 32 samples at a time the lanes take a sample each: exponential,
// product scan of the transmittances by shuffles, weight. Then the lanes turn to the colours: a
// group of lanes, as many as a colour has vectors, takes a sample, so that 16 (or 8, or 2) bytes a
// lane are read once, side by side; weights travel by shuffles. Sums are joined at the end of the
// ray.
//
// With four channels shuffles would bound that: 16 lanes take a ray then, and each of them four
// samples in a row, colours too.
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

/// Four channels, and a multiple of four samples.
__global__ void __launch_bounds__(kThreads) composite_thin(const Problem p) {
  constexpr int kLanes = 16, kOwn = 4;  // of a ray; samples of a lane
  const int lane = threadIdx.x % kLanes;
  const long long ray =
      static_cast<long long>(blockIdx.x) * (kThreads / kLanes) + threadIdx.x / kLanes;
  const long long from = ray < p.rays ? ray : p.rays - 1;
  const float* sigma = p.sigma + from * p.samples;
  const float* z = p.z + from * p.samples;
  const __half* color = p.color + from * p.samples * kOwn;
  const float norm = __ldg(p.dnorm + from);
  float sums[4] = {}, total = 0, depths = 0;
  float transmittance = 1;  // in front of the next samples
  for (int start = 0; start < p.samples; start += kLanes * kOwn) {
    const int first = start + lane * kOwn;
    float4 densities = make_float4(0, 0, 0, 0), places = densities;
    uint4 colors[2] = {};  // of two samples each
    if (first < p.samples) {
      densities = __ldcs(reinterpret_cast<const float4*>(sigma + first));
      places = __ldcs(reinterpret_cast<const float4*>(z + first));
#pragma unroll
      for (int i = 0; i < 2; ++i)
        colors[i] = __ldcs(reinterpret_cast<const uint4*>(color + first * 4) + i);
    }
    float next = __shfl_down_sync(kAll, places.x, 1, kLanes);
    if (lane == kLanes - 1 && first + kOwn < p.samples) next = __ldg(z + first + kOwn);
    const float density[] = {densities.x, densities.y, densities.z, densities.w};
    const float place[] = {places.x, places.y, places.z, places.w, next};

    float weights[kOwn];  // seen from the lane's first sample
    float product = 1;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const float delta =
          first + i + 1 < p.samples ? 100 * (place[i + 1] - place[i]) * norm : 1e10f * norm;
      const float through = __expf(-fmaxf(density[i], 0.0f) * delta);
      weights[i] = (1 - through) * product;
      product *= through + 1e-10f;
    }
#pragma unroll
    for (int distance = 1; distance < kLanes; distance *= 2) {
      const float before = __shfl_up_sync(kAll, product, distance, kLanes);
      if (lane >= distance) product *= before;
    }
    const float before = __shfl_up_sync(kAll, product, 1, kLanes);
    const float seen = lane == 0 ? transmittance : transmittance * before;
    transmittance *= __shfl_sync(kAll, product, kLanes - 1, kLanes);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const float weight = weights[i] * seen;
      total += weight;
      depths += weight * place[i];
      const uint4& pair = colors[i / 2];
      add(sums, i % 2 == 0 ? make_uint2(pair.x, pair.y) : make_uint2(pair.z, pair.w), weight);
    }
  }
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    total += __shfl_xor_sync(kAll, total, distance);
    depths += __shfl_xor_sync(kAll, depths, distance);
#pragma unroll
    for (float& sum : sums) sum += __shfl_xor_sync(kAll, sum, distance);
  }
  if (lane > 0 || ray >= p.rays) return;
  auto* rgb = reinterpret_cast<__half2*>(p.rgb + ray * 4);
  rgb[0] = __floats2half2_rn(sums[0] + transmittance, sums[1] + transmittance);
  rgb[1] = __floats2half2_rn(sums[2] + transmittance, sums[3] + transmittance);
  p.acc[ray] = total;
  p.depth[ray] = depths;
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
  if (channels == 4 && samples % 4 == 0)
    composite_thin<<<(rays - 1) / (kThreads / 16) + 1, kThreads, 0, stream>>>(p);
  else if (channels % 8 == 0)
    launch<8>(p, stream);
  else if (channels % 4 == 0)
    launch<4>(p, stream);
  else
    launch<1>(p, stream);
}
