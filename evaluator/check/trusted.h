// The trusted kernels, element by element: poison, red zones, hashes, comparison. Compiled for the
// CPU (trusted.cc) and for GPUs (device/cuda/trusted_kernels.cu); the bits are the same on both.
#pragma once

#include "tasks/element.h"

#ifndef __CUDACC__
#include "evaluator/check/comparison.h"
#endif

namespace assay::trusted {

/// Bytes of patterned memory before and after every buffer.
inline constexpr uint64_t kRedZoneBytes = 4096;

/// A bijection of 64-bit words that changes about half of the bits (the finaliser of MurmurHash3,
/// with Stafford's "Mix13" constants).
ASSAY_HOST_DEVICE inline uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ull;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// What an output element holds before a kernel writes it: a NaN with a random payload for floating
/// dtypes, a random word for integers, neither 0 nor 1 for booleans. Keys that differ only in the
/// lowest bit give different patterns for every element, so no value can equal both.
ASSAY_HOST_DEVICE inline uint64_t poison_bits(Dtype dtype, uint64_t index, uint64_t key) {
  const uint64_t random = mix(index ^ mix(key >> 1));
  const uint64_t phase = key & 1;
  switch (dtype) {
    case Dtype::f64:
      return 0x7ff8000000000000ull | (random & 0x8003ffffffffffffull) | phase << 50;
    case Dtype::f32:
    case Dtype::tf32:
      return 0x7fc00000u | (random & 0x801fffffu) | phase << 21;
    case Dtype::f16:
      return 0x7e00u | (random & 0x80ffu) | phase << 8;
    case Dtype::bf16:
      return 0x7fc0u | (random & 0x801fu) | phase << 5;
    case Dtype::e4m3:
      return 0x7fu | phase << 7;
    case Dtype::e5m2:
      return 0x7du | (random & 0x02u) | phase << 7;
    case Dtype::boolean:
      return 0x80u | (random & 0x3eu) | phase << 6;
    case Dtype::i64:
      return (random & ~uint64_t{1}) | phase;
    case Dtype::i32:
    case Dtype::u32:
      return (random & 0xfffffffeu) | phase;
    case Dtype::i16:
      return (random & 0xfffeu) | phase;
    case Dtype::i8:
    case Dtype::u8:
      return (random & 0xfeu) | phase;
  }
  return 0;
}

ASSAY_HOST_DEVICE inline int element_bytes(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
    case Dtype::i64:
      return 8;
    case Dtype::f32:
    case Dtype::tf32:
    case Dtype::i32:
    case Dtype::u32:
      return 4;
    case Dtype::f16:
    case Dtype::bf16:
    case Dtype::i16:
      return 2;
    default:
      return 1;
  }
}

/// The raw bits of element `index` of an aligned array.
ASSAY_HOST_DEVICE inline uint64_t load_bits(Dtype dtype, const void* data, uint64_t index) {
  switch (element_bytes(dtype)) {
    case 8:
      return static_cast<const uint64_t*>(data)[index];
    case 4:
      return static_cast<const uint32_t*>(data)[index];
    case 2:
      return static_cast<const uint16_t*>(data)[index];
    default:
      return static_cast<const uint8_t*>(data)[index];
  }
}

ASSAY_HOST_DEVICE inline void store_bits(Dtype dtype, void* data, uint64_t index, uint64_t bits) {
  switch (element_bytes(dtype)) {
    case 8:
      static_cast<uint64_t*>(data)[index] = bits;
      break;
    case 4:
      static_cast<uint32_t*>(data)[index] = static_cast<uint32_t>(bits);
      break;
    case 2:
      static_cast<uint16_t*>(data)[index] = static_cast<uint16_t>(bits);
      break;
    default:
      static_cast<uint8_t*>(data)[index] = static_cast<uint8_t>(bits);
      break;
  }
}

/// The byte at `position` of a red zone (the zone after a buffer continues the count).
ASSAY_HOST_DEVICE inline uint8_t red_zone_byte(uint64_t position, uint64_t key) {
  return static_cast<uint8_t>(mix(position + mix(key)) >> 24);
}

/// The contribution of 8-byte word number `index` to a hash; the hash is the sum over all words, so
/// any order and grouping give the same. A last partial word is padded with zeros. Who knows the
/// key can find other words with the same sum, so where that would pay the key is a secret.
ASSAY_HOST_DEVICE inline uint64_t hash_word(uint64_t word, uint64_t index, uint64_t key = 0) {
  return mix(word ^ mix((index + 0x9e3779b97f4a7c15ull) ^ key));
}

/// One element judged.
struct ElementJudgement {
  double absolute;  // |got - want|; 0 where a value is not finite
  double relative;  // absolute / |want|
  double ratio;     // absolute / bound, at most kMaxRatio
  double want;      // its finite value, else 0
  bool mismatch;
  bool nonfinite;  // the mismatch is about NaN or infinity
};
inline constexpr double kMaxRatio = 1e9;
inline constexpr double kMaxAbsolute = 1.7976931348623157e308;

ASSAY_HOST_DEVICE inline double absolute_of(double x) { return x < 0 ? -x : x; }

ASSAY_HOST_DEVICE inline bool is_finite(double x) {
  return (element::bits_of(x) & 0x7ff0000000000000ull) != 0x7ff0000000000000ull;
}

/// |got - want| <= atol + rtol * |want|; NaN equals NaN, an infinity equals the same infinity.
ASSAY_HOST_DEVICE inline ElementJudgement judge(Dtype dtype, uint64_t got_bits, uint64_t want_bits,
                                                double got, double want, double atol, double rtol) {
  ElementJudgement result{0, 0, 0, 0, false, false};
  if (!is_finite(got) || !is_finite(want)) {
    const bool both_nan = got != got && want != want;
    result.mismatch = result.nonfinite = !both_nan && !(got == want);
    if (is_finite(want)) result.want = want;
    if (result.mismatch) result.ratio = kMaxRatio;
    return result;
  }
  result.want = want;
  result.absolute = absolute_of(got - want);
  if (!is_finite(result.absolute)) result.absolute = kMaxAbsolute;
  if (dtype == Dtype::i64) {
    // Beyond 2^53 doubles would hide small differences.
    const auto a = static_cast<int64_t>(got_bits), b = static_cast<int64_t>(want_bits);
    const uint64_t distance = a > b ? static_cast<uint64_t>(a) - static_cast<uint64_t>(b)
                                    : static_cast<uint64_t>(b) - static_cast<uint64_t>(a);
    result.absolute = static_cast<double>(distance);
  }
  const double bound = atol + rtol * absolute_of(want);
  result.mismatch = result.absolute > bound;
  if (dtype == Dtype::boolean && got_bits > 1) result.mismatch = true;  // neither true nor false
  if (result.absolute > 0) {
    const double size = absolute_of(want);
    result.relative = size > 0 ? result.absolute / size : kMaxRatio;
    if (result.relative > kMaxRatio) result.relative = kMaxRatio;
    result.ratio = bound > 0 ? result.absolute / bound : kMaxRatio;
    if (result.ratio > kMaxRatio) result.ratio = kMaxRatio;
  }
  return result;
}

/// The comparison of some of the elements; parts combine in any order (sums of squares up to
/// rounding).
struct ComparisonPart {
  uint64_t elements;
  uint64_t mismatches;
  uint64_t nonfinite_mismatches;
  uint64_t first_index;  // valid where mismatches > 0
  double first_absolute, first_relative;
  uint64_t worst_index;  // valid where mismatches > 0
  double worst_absolute, worst_relative, worst_ratio;
  double max_absolute;
  double max_ratio;
  double error_squares;
  double want_squares;
};

ASSAY_HOST_DEVICE inline ComparisonPart empty_part() {
  return ComparisonPart{0, 0, 0, ~uint64_t{0}, 0, 0, ~uint64_t{0}, 0, 0, -1, 0, 0, 0, 0};
}

ASSAY_HOST_DEVICE inline void add(ComparisonPart& part, const ElementJudgement& element,
                                  uint64_t index) {
  ++part.elements;
  part.error_squares += element.absolute * element.absolute;
  part.want_squares += element.want * element.want;
  if (element.absolute > part.max_absolute) part.max_absolute = element.absolute;
  if (element.ratio > part.max_ratio) part.max_ratio = element.ratio;
  if (!element.mismatch) return;
  ++part.mismatches;
  if (element.nonfinite) ++part.nonfinite_mismatches;
  if (index < part.first_index) {
    part.first_index = index;
    part.first_absolute = element.absolute;
    part.first_relative = element.relative;
  }
  if (element.ratio > part.worst_ratio ||
      (element.ratio == part.worst_ratio && index < part.worst_index)) {
    part.worst_index = index;
    part.worst_absolute = element.absolute;
    part.worst_relative = element.relative;
    part.worst_ratio = element.ratio;
  }
}

ASSAY_HOST_DEVICE inline void combine(ComparisonPart& part, const ComparisonPart& other) {
  part.elements += other.elements;
  part.mismatches += other.mismatches;
  part.nonfinite_mismatches += other.nonfinite_mismatches;
  part.error_squares += other.error_squares;
  part.want_squares += other.want_squares;
  if (other.max_absolute > part.max_absolute) part.max_absolute = other.max_absolute;
  if (other.max_ratio > part.max_ratio) part.max_ratio = other.max_ratio;
  if (other.mismatches == 0) return;
  if (other.first_index < part.first_index) {
    part.first_index = other.first_index;
    part.first_absolute = other.first_absolute;
    part.first_relative = other.first_relative;
  }
  if (other.worst_ratio > part.worst_ratio ||
      (other.worst_ratio == part.worst_ratio && other.worst_index < part.worst_index)) {
    part.worst_index = other.worst_index;
    part.worst_absolute = other.worst_absolute;
    part.worst_relative = other.worst_relative;
    part.worst_ratio = other.worst_ratio;
  }
}

#ifndef __CUDACC__
// The same on the memory of this process; used by the virtual device and in tests. Pointers are
// aligned to the element. `threads`: CPU threads at most (0: all cores); results do not depend on
// it.

void poison_on_host(Dtype dtype, uint64_t elements, uint64_t key, void* data, int threads = 0);
uint64_t hash_on_host(const void* data, uint64_t bytes, uint64_t key = 0, int threads = 0);
/// Writes, or counts the changed bytes of, one red zone of kRedZoneBytes at `zone`. `key` differs
/// between the zones before and after a buffer.
void write_red_zone_on_host(void* zone, uint64_t key);
uint64_t check_red_zone_on_host(const void* zone, uint64_t key);
Comparison compare_on_host(const void* got, const void* want, Dtype dtype, uint64_t elements,
                           const Tolerance& tolerance, int threads = 0);

/// The Comparison that a whole part stands for. Sums of squares beyond the range of doubles count
/// as an infinite error, unless there is none at all.
Comparison finish(const ComparisonPart& part, const Tolerance& tolerance);
#endif

}  // namespace assay::trusted
