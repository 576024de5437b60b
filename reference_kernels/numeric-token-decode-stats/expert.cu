// Specialist: a team of lanes keeps an example in registers, decoded once from loads of 16 bytes.
// What is sorted is the values rounded to f32, by a bitonic network that runs within lanes where it
// can: rounding keeps the order. Padding goes half below and half above the samples, so that the
// middle of the network's last step but the sorting after it is the median: its largest lower and
// its smallest upper element. Doubles are needed only of the samples that round to that number.
#include <cuda_runtime.h>

namespace {

constexpr int kThreads = 128;
constexpr unsigned kAll = ~0u;

__constant__ double kPowers[41] = {
    1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7,
    1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,   1e4,   1e5,  1e6,  1e7,
    1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19, 1e20};

struct Problem {
  const unsigned char* __restrict__ signs;
  const unsigned char* __restrict__ digits;
  const unsigned char* __restrict__ exponents;
  float* __restrict__ values;
  float* __restrict__ means;
  float* __restrict__ medians;
  int batch, samples, places, range;
};

/// The number that four digit tokens form, the first in the lowest byte.
__device__ int number_of(unsigned tokens) {
  const unsigned digits = tokens - 0x02020202u;
  const unsigned pairs = digits * 10 + (digits >> 8);  // in bytes 0 and 2; none exceeds 99
  return (pairs & 255) * 100 + (pairs >> 16 & 255);
}

/// mantissa * power, negated for minus. The conversion is exact and cheaper than the instruction.
__device__ double value_of(int mantissa, double power, bool minus) {
  const double whole = __hiloint2double(0x43300000, mantissa) - 4503599627370496.0;
  const double value = whole * power;
  return minus ? -value : value;
}

/// An example of kEach samples a lane and kLanes lanes; places without a sample hold infinities.
template <int kLanes, int kEach>
struct Example {
  static constexpr int kPadded = kLanes * kEach;

  double exact[kEach];
  float rounded[kEach];
  int lane;  // of the team

  /// Sample of this lane's place e; from p.samples on, padding.
  __device__ int sample(int e) const { return (e / 4 * kLanes + lane) * 4 + e % 4; }

  /// For 4 digits and samples that are a multiple of 4.
  __device__ void decode_quads(const Problem& p, long long first, const double* powers) {
    uint4 digits[kEach / 4];
    unsigned signs[kEach / 4], exponents[kEach / 4];
#pragma unroll
    for (int c = 0; c < kEach / 4; ++c)
      if (const int s = sample(4 * c); s < p.samples) {
        const long long at = (first + s) / 4;
        digits[c] = __ldcs(reinterpret_cast<const uint4*>(p.digits) + at);
        signs[c] = __ldcs(reinterpret_cast<const unsigned*>(p.signs) + at);
        exponents[c] = __ldcs(reinterpret_cast<const unsigned*>(p.exponents) + at);
      }
#pragma unroll
    for (int c = 0; c < kEach / 4; ++c) {
      const int s = sample(4 * c);
      if (s >= p.samples) continue;
      const unsigned words[4] = {digits[c].x, digits[c].y, digits[c].z, digits[c].w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int e = 4 * c + j;
        exact[e] =
            value_of(number_of(words[j]), powers[(exponents[c] >> 8 * j & 255) - 12 - p.range + 20],
                     signs[c] >> 8 * j & 1);
        rounded[e] = static_cast<float>(exact[e]);
      }
      __stcs(
          reinterpret_cast<float4*>(p.values + first + s),
          make_float4(rounded[4 * c], rounded[4 * c + 1], rounded[4 * c + 2], rounded[4 * c + 3]));
    }
  }
  __device__ void decode(const Problem& p, long long first, const double* powers) {
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const int s = sample(e);
      if (s >= p.samples) continue;
      const long long at = first + s;
      int mantissa = 0;
      for (int i = 0; i < p.places; ++i) mantissa = mantissa * 10 + p.digits[at * p.places + i] - 2;
      exact[e] = value_of(mantissa, powers[p.exponents[at] - 12 - p.range + 20], p.signs[at] == 1);
      rounded[e] = static_cast<float>(exact[e]);
      p.values[at] = rounded[e];
    }
  }

  /// Infinities into places without a sample: below as many as above, or one less.
  __device__ void pad(int samples) {
#pragma unroll
    for (int e = 0; e < kEach; ++e)
      if (const int s = sample(e); s >= samples) {
        exact[e] = 0;
        rounded[e] = s - samples < (kPadded - samples) / 2 ? -INFINITY : INFINITY;
      }
  }

  /// The largest of the lower and the smallest of the upper half. Place of an element in the
  /// network: lane * kEach + e, whichever sample that is.
  __device__ float2 middle() const {
    float key[kEach];
#pragma unroll
    for (int e = 0; e < kEach; ++e) key[e] = rounded[e];
#pragma unroll
    for (int run = 2; run < kPadded; run *= 2)
#pragma unroll
      for (int distance = run / 2; distance > 0; distance /= 2) exchange(key, run, distance);
    exchange(key, kPadded, kPadded / 2);
    const float sign = lane < kLanes / 2 ? 1 : -1;  // the smallest: the largest of the negated
    float best = sign * key[0];
#pragma unroll
    for (int e = 1; e < kEach; ++e) best = fmaxf(best, sign * key[e]);
#pragma unroll
    for (int distance = kLanes / 4; distance > 0; distance /= 2)
      best = fmaxf(best, __shfl_xor_sync(kAll, best, distance));
    best *= sign;
    const float other = __shfl_xor_sync(kAll, best, kLanes / 2);
    return make_float2(fminf(best, other), fmaxf(best, other));
  }

  __device__ double sum() const {
    double all = 0;
#pragma unroll
    for (int e = 0; e < kEach; ++e) all += exact[e];
#pragma unroll
    for (int distance = kLanes / 2; distance > 0; distance /= 2)
      all += __shfl_xor_sync(kAll, all, distance);
    return all;
  }

  /// Of the samples that round to `number`, the one in place `rank` of all, counted from the
  /// smallest: nearly always all of them are the same.
  __device__ double element(float number, int rank) const {
    int below = 0;
#pragma unroll
    for (int e = 0; e < kEach; ++e) below += rounded[e] < number;
    rank -= total(below);
    double least = -INFINITY;
    for (bool found = false; __any_sync(kAll, !found);) {
      double next = INFINITY;
#pragma unroll
      for (int e = 0; e < kEach; ++e)
        if (rounded[e] == number && exact[e] > least) next = fmin(next, exact[e]);
#pragma unroll
      for (int distance = kLanes / 2; distance > 0; distance /= 2)
        next = fmin(next, __shfl_xor_sync(kAll, next, distance));
      int upto = 0;
#pragma unroll
      for (int e = 0; e < kEach; ++e) upto += rounded[e] == number && exact[e] <= next;
      upto = total(upto);
      if (!found) least = next;
      found = found || rank < upto;
    }
    return least;
  }

 private:
  /// One step of the network: pairs at `distance`, ascending where the bit `run` of the place is 0.
  __device__ void exchange(float (&key)[kEach], int run, int distance) const {
    if (distance < kEach) {
#pragma unroll
      for (int e = 0; e < kEach; ++e) {
        if (e & distance) continue;
        const float least = fminf(key[e], key[e | distance]);
        const float most = fmaxf(key[e], key[e | distance]);
        const bool ascending = run < kEach ? (e & run) == 0 : (lane & run / kEach) == 0;
        key[e] = ascending ? least : most;
        key[e | distance] = ascending ? most : least;
      }
      return;
    }
    const bool first = (lane & distance / kEach) == 0, ascending = (lane & run / kEach) == 0;
    float other[kEach];
#pragma unroll
    for (int e = 0; e < kEach; ++e) other[e] = __shfl_xor_sync(kAll, key[e], distance / kEach);
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const float least = fminf(key[e], other[e]), most = fmaxf(key[e], other[e]);
      key[e] = first == ascending ? least : most;
    }
  }
  static __device__ int total(int count) {
#pragma unroll
    for (int distance = kLanes / 2; distance > 0; distance /= 2)
      count += __shfl_xor_sync(kAll, count, distance);
    return count;
  }
};

template <int kLanes, int kEach>
__global__ void __launch_bounds__(kThreads) reduce(const Problem p) {
  __shared__ double powers[41];
  for (int i = threadIdx.x; i < 41; i += kThreads) powers[i] = kPowers[i];
  __syncthreads();
  const int own = blockIdx.x * (kThreads / kLanes) + threadIdx.x / kLanes;
  const int b = min(own, p.batch - 1);  // whole warps take part: the last example again
  const long long first = static_cast<long long>(b) * p.samples;
  Example<kLanes, kEach> example;
  example.lane = threadIdx.x % kLanes;
  if (p.places == 4 && p.samples % 4 == 0)
    example.decode_quads(p, first, powers);
  else
    example.decode(p, first, powers);
  example.pad(p.samples);
  const double sum = example.sum();
  const float2 middle = example.middle();
  const int below = (Example<kLanes, kEach>::kPadded - p.samples) / 2;  // padding
  double median = example.element(middle.x, below + (p.samples - 1) / 2);
  if (p.samples % 2 == 0) median = (median + example.element(middle.y, below + p.samples / 2)) / 2;
  if (example.lane != 0) return;
  p.means[b] = static_cast<float>(sum / p.samples);
  p.medians[b] = static_cast<float>(median);
}

template <int kLanes, int kEach>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kExamples = kThreads / kLanes;
  reduce<kLanes, kEach><<<(p.batch - 1) / kExamples + 1, kThreads, 0, stream>>>(p);
}

}  // namespace

extern "C" void solve(const unsigned char* signs, const unsigned char* digits,
                      const unsigned char* exponents, float* values, float* means, float* medians,
                      int batch, int samples, int places, int range, cudaStream_t stream) {
  const Problem p{signs, digits, exponents, values, means, medians, batch, samples, places, range};
  if (samples <= 64)
    launch<8, 8>(p, stream);
  else
    launch<32, 16>(p, stream);
}
