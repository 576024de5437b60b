// Specialist: a group of lanes takes a point, one lane 8 channels (16 bytes of a texel; 2 bytes
// where channels is no multiple of 8). Places and weights are computed by every lane of the group:
// that is less than their transport. Texels outside get the weight 0 and a place inside, so that
// all four loads go out without branches. Levels are the outer loop, so that all points of a block
// use the same planes at about the same time; the planes fit the L2 cache, or nearly.
#include <cuda_fp16.h>

namespace {

constexpr int kThreads = 256;

template <int kWidth>
struct PackOf;
template <>
struct PackOf<8> {
  using Type = uint4;
};
template <>
struct PackOf<1> {
  using Type = unsigned short;
};
template <int kWidth>
using Pack = typename PackOf<kWidth>::Type;

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
__device__ void add(float (&sums)[1], unsigned short pack, float weight) {
  sums[0] = fmaf(weight, __half2float(__ushort_as_half(pack)), sums[0]);
}

/// Two neighbours along one axis: indices inside of the plane, weights 0 where they were not.
struct Neighbours {
  int at[2];
  float weight[2];

  __device__ Neighbours(float g, int size) {
    const float place = fminf(fmaxf((g + 1) * 0.5f * (size - 1), -2.0f), size + 1.0f);
    const float low = floorf(place);
    const int first = static_cast<int>(low);
    weight[0] = first >= 0 && first < size ? 1 - (place - low) : 0.0f;
    weight[1] = first + 1 >= 0 && first + 1 < size ? place - low : 0.0f;
    at[0] = min(max(first, 0), size - 1);
    at[1] = min(max(first + 1, 0), size - 1);
  }
};

struct Problem {
  const __half* __restrict__ planes;
  const float* __restrict__ points;
  const float* __restrict__ centre;
  const float* __restrict__ half;
  __half* __restrict__ features;
  int count, levels, height, width, packs;
};

/// lanes: how many take a point, a power of two.
template <int kWidth>
__global__ void __launch_bounds__(kThreads) sample(const Problem p, int lanes) {
  const long long point =
      static_cast<long long>(blockIdx.x) * (kThreads / lanes) + threadIdx.x / lanes;
  if (point >= p.count) return;
  float g[3];
#pragma unroll
  for (int axis = 0; axis < 3; ++axis)
    g[axis] = (__ldg(p.points + point * 3 + axis) - __ldg(p.centre + axis)) / __ldg(p.half + axis);

  for (int pack = threadIdx.x % lanes; pack < p.packs; pack += lanes) {
    const auto* plane = reinterpret_cast<const Pack<kWidth>*>(p.planes) + pack;
    float sums[kWidth] = {};
    for (int level = 0; level < p.levels; ++level) {
      const int height = p.height << level, width = p.width << level;
#pragma unroll
      for (int k = 0; k < 3; ++k) {
        const Neighbours x(k == 0 ? g[1] : g[0], width), y(k == 2 ? g[1] : g[2], height);
        Pack<kWidth> texels[4];
#pragma unroll
        for (int n = 0; n < 4; ++n)
          texels[n] =
              __ldg(plane + (static_cast<long long>(y.at[n / 2]) * width + x.at[n % 2]) * p.packs);
#pragma unroll
        for (int n = 0; n < 4; ++n) add(sums, texels[n], y.weight[n / 2] * x.weight[n % 2]);
        plane += static_cast<long long>(height) * width * p.packs;
      }
    }
    __half* to = p.features + (point * p.packs + pack) * kWidth;
    if constexpr (kWidth == 8) {
      __align__(16) __half2 pairs[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) pairs[i] = __floats2half2_rn(sums[2 * i], sums[2 * i + 1]);
      __stcs(reinterpret_cast<uint4*>(to), *reinterpret_cast<const uint4*>(pairs));
    } else {
      *to = __float2half(sums[0]);
    }
  }
}

template <int kWidth>
void launch(const Problem& p, cudaStream_t stream) {
  int lanes = 1;
  while (lanes < 32 && lanes < p.packs) lanes *= 2;
  const int per_block = kThreads / lanes;
  sample<kWidth><<<(p.count + per_block - 1) / per_block, kThreads, 0, stream>>>(p, lanes);
}

}  // namespace

extern "C" void solve(const __half* planes, const float* points, const float* centre,
                      const float* half, __half* features, int count, int levels, int height,
                      int width, int channels, cudaStream_t stream) {
  Problem p{planes, points, centre, half, features, count, levels, height, width, channels};
  if (channels % 8 == 0) {
    p.packs = channels / 8;
    launch<8>(p, stream);
  } else {
    launch<1>(p, stream);
  }
}
