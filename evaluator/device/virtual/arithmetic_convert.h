// cvt and cvt.pack: every conversion between PTX's number types.
//
// What PTX's manual says of NaN: to an integer, a NaN of f16, bf16 or f32 becomes 0, except that
// any NaN to a 64-bit integer and any NaN of f64 becomes the integer with only its highest bit set.
// To a floating-point type it becomes that type's canonical NaN, except between f64 and others:
// sign and the upper part of the payload stay, as on hardware.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "evaluator/device/virtual/arithmetic_exact.h"
#include "evaluator/device/virtual/arithmetic_formats.h"

namespace assay::virtual_gpu {

/// Modifiers of cvt. `rounding` is also the integer rounding (.rni ...) of float to integer.
struct ConvertMode {
  Rounding rounding = Rounding::rn;
  bool to_integer = false;  // float to float of the same type with .rni .rzi .rmi .rpi
  bool ftz = false;         // f32 operands and results only
  bool sat = false;         // to float: clamp to [0, 1], NaN to +0; to integer: clamp
  bool satfinite = false;   // overflow and infinities become the largest finite value
  bool relu = false;        // negative results become +0
};

/// Zero of the same sign for a subnormal number.
inline float flush(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t keep = (bits & 0x7f800000u) != 0 ? 0xffffffffu : 0x80000000u;
  return std::bit_cast<float>(bits & keep);
}

inline F16 flush(F16 x) {
  return {static_cast<uint16_t>((x.bits & 0x7c00u) != 0 ? x.bits : x.bits & 0x8000u)};
}

/// Exact widening. A NaN becomes the canonical NaN.
inline float to_f32(F16 x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t magnitude = x.bits & 0x7fffu;
  // Multiplying by 2^112 moves the exponent's bias and normalises subnormal numbers.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  uint32_t bits = std::bit_cast<uint32_t>(scaled) | sign;
  bits = magnitude >= 0x7c00u ? bits | 0x7f800000u : bits;
  bits = magnitude > 0x7c00u ? kNanF32 : bits;
  return std::bit_cast<float>(bits);
}
inline float to_f32(BF16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  return std::bit_cast<float>((bits & 0x7fffffffu) > 0x7f800000u ? kNanF32 : bits);
}
inline float to_f32(TF32 x) { return std::bit_cast<float>(x.bits & 0xffffe000u); }
float to_f32(E4M3 x);
float to_f32(E5M2 x);

/// The nearest f16, ties to even; the hot conversion.
inline F16 nearest_f16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {kNanF16};
  uint32_t code;
  if (magnitude >= 0x38800000u) {  // 2^-14: normal in f16
    code = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    if (code > 0x7c00u) code = 0x7c00u;
  } else {
    // Adding 1/2 leaves multiples of 2^-24 in the low mantissa bits, rounded by the addition.
    code = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  }
  return {static_cast<uint16_t>(sign | code)};
}

/// The nearest bf16, ties to even; the hot conversion.
inline BF16 nearest_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {kNanBF16};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

/// `x` as a float whose last bit is set if digits were lost: rounding it again to f16 or bf16 gives
/// what rounding x once would give.
inline float odd_f32(double x) {
  const float nearest = static_cast<float>(x);
  const auto widened = static_cast<double>(nearest);
  auto bits = std::bit_cast<uint32_t>(nearest);
  if (!(widened != x) || x != x) return nearest;
  if (std::fabs(widened) > std::fabs(x)) --bits;  // also from infinity to the largest number
  return std::bit_cast<float>(bits | 1u);
}
inline F16 nearest_f16(double x) { return nearest_f16(odd_f32(x)); }
inline BF16 nearest_bf16(double x) { return nearest_bf16(odd_f32(x)); }

namespace detail {

template <typename T>
inline constexpr bool is_integer = std::is_integral_v<T>;

inline double widen(float x) { return double{x}; }
inline double widen(double x) { return x; }
inline double widen(F16 x) { return double{to_f32(x)}; }
inline double widen(BF16 x) { return double{to_f32(x)}; }
inline double widen(E4M3 x) { return double{to_f32(x)}; }
inline double widen(E5M2 x) { return double{to_f32(x)}; }

template <typename To>
To nearest(double x) {
  if constexpr (std::is_same_v<To, F16>) {
    return nearest_f16(x);
  } else {
    return nearest_bf16(x);
  }
}

/// `x` to an integral value; NaN and infinities unchanged, the sign of zero kept.
inline double rounded_to_integral(double x, Rounding rounding) {
  switch (rounding) {
    case Rounding::rz:
      return std::trunc(x);
    case Rounding::rm:
      return std::floor(x);
    case Rounding::rp:
      return std::ceil(x);
    default:
      return std::nearbyint(x);  // the thread's rounding mode is to nearest, ties to even
  }
}

/// One rounding. A NaN of f64 (`from_f64`) keeps what fits of its payload; others become canonical.
template <typename To>
To narrow(double x, const ConvertMode& mode, bool from_f64);
template <typename To>
To narrow(const Exact& x, const ConvertMode& mode);

template <typename To>
To integer_of(double x, Rounding rounding, bool nan_is_zero) {
  using Limits = std::numeric_limits<To>;
  if (x != x) return nan_is_zero ? To{0} : static_cast<To>(uint64_t{1} << (8 * sizeof(To) - 1));
  const double whole = rounded_to_integral(x, rounding);
  // max() + 1 is a power of two and therefore exact, also for 64 bits.
  const double above = std::ldexp(1.0, Limits::digits);
  if (whole >= above) return Limits::max();
  if (whole <= static_cast<double>(Limits::min())) return Limits::min();
  return static_cast<To>(whole);
}

template <typename To, typename From>
To clamped(From x) {
  using Limits = std::numeric_limits<To>;
  if constexpr (std::is_signed_v<From>) {
    if (x < 0) {
      if constexpr (std::is_signed_v<To>) {
        return int64_t{x} < int64_t{Limits::min()} ? Limits::min() : static_cast<To>(x);
      } else {
        return 0;
      }
    }
  }
  return static_cast<uint64_t>(x) > static_cast<uint64_t>(Limits::max()) ? Limits::max()
                                                                         : static_cast<To>(x);
}

}  // namespace detail

/// cvt.<To>.<From>: To and From among int8_t ... uint64_t, F16, BF16, TF32 (to only), float,
/// double; E4M3 and E5M2 as the elements of x2 instructions.
template <typename To, typename From>
inline To convert(From value, ConvertMode mode = {}) {
  if constexpr (detail::is_integer<To> && detail::is_integer<From>) {
    return mode.sat ? detail::clamped<To>(value) : static_cast<To>(value);
  } else if constexpr (detail::is_integer<To>) {
    if constexpr (std::is_same_v<From, float>) {
      if (mode.ftz) value = flush(value);
    }
    if constexpr (std::is_same_v<From, float> && std::is_same_v<To, int32_t>) {
      if (mode.rounding == Rounding::rz && std::fabs(value) < 0x1p31f) {
        return static_cast<int32_t>(value);
      }
    }
    constexpr bool nan_is_zero = !std::is_same_v<From, double> && sizeof(To) < 8;
    return detail::integer_of<To>(detail::widen(value), mode.rounding, nan_is_zero);
  } else if constexpr (detail::is_integer<From>) {
    if (mode.sat) value = value > 0 ? From{1} : From{0};
    if constexpr (std::is_floating_point_v<To>) {
      if (mode.rounding == Rounding::rn) return static_cast<To>(value);
    }
    if constexpr (sizeof(From) < 8) {
      return detail::narrow<To>(static_cast<double>(value), mode, false);
    } else {
      using Wide = std::conditional_t<std::is_signed_v<From>, int64_t, uint64_t>;
      return detail::narrow<To>(exact(Wide{value}), mode);
    }
  } else {
    if constexpr (std::is_same_v<From, float>) {
      if (mode.ftz) value = flush(value);
    }
    const bool plain = !mode.to_integer && !mode.sat && !mode.satfinite && !mode.relu;
    if constexpr (sizeof(To) == 2) {
      const double x = detail::widen(value);
      const bool keeps_nan = std::is_same_v<From, double> && x != x;
      if (plain && mode.rounding == Rounding::rn && !keeps_nan) return detail::nearest<To>(x);
    } else if constexpr (std::is_same_v<To, float> && sizeof(From) <= 2) {
      if (plain) return mode.ftz ? flush(to_f32(value)) : to_f32(value);
    }
    double x = detail::widen(value);
    if (mode.to_integer) x = detail::rounded_to_integral(x, mode.rounding);
    return detail::narrow<To>(x, mode, std::is_same_v<From, double>);
  }
}

/// The two-operand packed forms, cvt.<To>x2.f32 d, a, b: `upper` is the first operand.
template <typename To>
inline Pair<To> convert_pair(float upper, float lower, ConvertMode mode = {}) {
  return {convert<To>(lower, mode), convert<To>(upper, mode)};
}

/// Elementwise x2 to x2: cvt.rn.f16x2.e4m3x2, cvt.rn.satfinite.e4m3x2.f16x2.
template <typename To, typename From>
inline Pair<To> convert_pair(Pair<From> value, ConvertMode mode = {}) {
  return {convert<To>(value.low, mode), convert<To>(value.high, mode)};
}

/// The same by run-time types, for an executor without a template per pair.
enum class Number : uint8_t {
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  bf16,
  tf32,
  f32,
  f64,
  f16x2,
  bf16x2,
  e4m3x2,
  e5m2x2
};
/// The register `from` holds bits of type `from_type`; the result is zero-extended (an executor
/// that keeps s8 and s16 in wider registers sign-extends it itself). Combinations that PTX does not
/// have return 0.
uint64_t convert_register(Number to_type, Number from_type, uint64_t from, ConvertMode mode);
/// cvt.<to>x2.f32 d, upper, lower.
uint64_t convert_register_pair(Number to_type, float upper, float lower, ConvertMode mode);

/// cvt.pack.sat: `to_bits` 2, 4, 8 or 16, signed or not, from s32 operands; `a` lands above `b`,
/// and above both, for 8 bits and less, `c` shifted left by 2 * to_bits.
uint32_t convert_pack(int to_bits, bool to_signed, int32_t a, int32_t b, uint32_t c = 0);

}  // namespace assay::virtual_gpu
