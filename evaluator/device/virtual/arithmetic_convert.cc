#include "evaluator/device/virtual/arithmetic_convert.h"

#include <bit>
#include <cmath>

namespace assay::virtual_gpu {
namespace {

template <typename To>
constexpr FormatShape shape();
template <>
constexpr FormatShape shape<double>() {
  return kF64;
}
template <>
constexpr FormatShape shape<float>() {
  return kF32;
}
template <>
constexpr FormatShape shape<F16>() {
  return kF16;
}
template <>
constexpr FormatShape shape<BF16>() {
  return kBF16;
}
template <>
constexpr FormatShape shape<TF32>() {
  return kTF32;
}
template <>
constexpr FormatShape shape<E4M3>() {
  return kE4M3;
}
template <>
constexpr FormatShape shape<E5M2>() {
  return kE5M2;
}

/// What a NaN becomes. From f64 to a wider-than-8-bit format it keeps its sign and the upper part
/// of its payload, as on hardware.
template <typename To>
To nan_of(double x, const ConvertMode& mode, bool from_f64) {
  const auto bits = std::bit_cast<uint64_t>(x);
  if constexpr (std::is_same_v<To, double>) {
    return x;
  } else if constexpr (std::is_same_v<To, TF32>) {
    const auto kept = std::bit_cast<uint32_t>(static_cast<float>(x)) & 0xffffe000u;
    return {mode.rounding == Rounding::rna ? kept : 0x7fffe000u};
  } else if constexpr (sizeof(To) == 1) {
    return {0x7f};
  } else {
    constexpr int kMantissaBits = shape<To>().mantissa_bits;
    constexpr uint64_t kCanonical = (uint64_t{1} << shape<To>().sign_bit) - 1;
    if (!from_f64) return from_register<To>(kCanonical);
    constexpr uint64_t kQuiet = shape<To>().overflow_code | uint64_t{1} << (kMantissaBits - 1);
    const uint64_t payload = (bits & ((uint64_t{1} << 52) - 1)) >> (52 - kMantissaBits);
    return from_register<To>(bits >> 63 << shape<To>().sign_bit | kQuiet | payload);
  }
}

/// Bits below the encoded format in its register: tf32 is the upper part of 32 bits.
template <typename To>
constexpr int low_bits() {
  return std::is_same_v<To, TF32> ? 13 : 0;
}

template <typename To>
To from_code(uint64_t code) {
  return from_register<To>(code << low_bits<To>());
}

template <typename To>
To clamp_result(To result, const ConvertMode& mode) {
  if constexpr (std::is_same_v<To, float>) {
    if (mode.ftz) result = flush(result);
  }
  return result;
}

template <typename To>
To narrow_exact(Exact x, const ConvertMode& mode) {
  if ((mode.relu || mode.sat) && x.negative) return To{};
  return clamp_result(from_code<To>(encode(x, shape<To>(), mode.rounding, mode.satfinite)), mode);
}

template <typename To>
To narrow_any(double x, const ConvertMode& mode, bool from_f64) {
  if (x != x) {
    return mode.sat ? To{} : nan_of<To>(x, mode, from_f64);
  }
  if ((mode.relu || mode.sat) && std::signbit(x)) return To{};
  if (mode.sat && x > 1) x = 1;
  constexpr FormatShape kShape = shape<To>();
  if (std::isinf(x)) {
    const uint64_t largest = kShape.overflow_code - 1;
    const bool keep = kShape.has_infinity && !mode.satfinite;
    const uint64_t sign = uint64_t{std::signbit(x)} << kShape.sign_bit;
    return from_code<To>(sign | (keep ? kShape.overflow_code : largest));
  }
  if (mode.rounding == Rounding::rn && !mode.satfinite) {
    if constexpr (std::is_same_v<To, double>) return x;
    if constexpr (std::is_same_v<To, float>) return clamp_result(static_cast<float>(x), mode);
    if constexpr (std::is_same_v<To, F16>) return nearest_f16(x);
    if constexpr (std::is_same_v<To, BF16>) return nearest_bf16(x);
  }
  return narrow_exact<To>(exact(x), mode);
}

}  // namespace

namespace detail {
template <>
double narrow(double x, const ConvertMode& mode, bool from_f64) {
  return narrow_any<double>(x, mode, from_f64);
}
template <>
float narrow(double x, const ConvertMode& mode, bool from_f64) {
  return narrow_any<float>(x, mode, from_f64);
}
template <>
F16 narrow(double x, const ConvertMode& mode, bool from_f64) {
  return narrow_any<F16>(x, mode, from_f64);
}
template <>
BF16 narrow(double x, const ConvertMode& mode, bool from_f64) {
  return narrow_any<BF16>(x, mode, from_f64);
}
template <>
TF32 narrow(double x, const ConvertMode& mode, bool from_f64) {
  return narrow_any<TF32>(x, mode, from_f64);
}
template <>
E4M3 narrow(double x, const ConvertMode& mode, bool from_f64) {
  return narrow_any<E4M3>(x, mode, from_f64);
}
template <>
E5M2 narrow(double x, const ConvertMode& mode, bool from_f64) {
  return narrow_any<E5M2>(x, mode, from_f64);
}
template <>
double narrow(const Exact& x, const ConvertMode& mode) {
  return narrow_exact<double>(x, mode);
}
template <>
float narrow(const Exact& x, const ConvertMode& mode) {
  return narrow_exact<float>(x, mode);
}
template <>
F16 narrow(const Exact& x, const ConvertMode& mode) {
  return narrow_exact<F16>(x, mode);
}
template <>
BF16 narrow(const Exact& x, const ConvertMode& mode) {
  return narrow_exact<BF16>(x, mode);
}
}  // namespace detail

float to_f32(E4M3 x) {
  const int exponent = x.bits >> 3 & 0xf;
  const int fraction = x.bits & 7;
  if ((x.bits & 0x7f) == 0x7f) return std::bit_cast<float>(kNanF32);
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(fraction), -9)
                              : std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
  return (x.bits & 0x80) != 0 ? -magnitude : magnitude;
}

float to_f32(E5M2 x) { return to_f32(F16{static_cast<uint16_t>(x.bits << 8)}); }

namespace {

template <typename From>
uint64_t convert_from(Number to_type, From value, const ConvertMode& mode) {
  switch (to_type) {
    case Number::u8:
      return to_register(convert<uint8_t>(value, mode));
    case Number::u16:
      return to_register(convert<uint16_t>(value, mode));
    case Number::u32:
      return to_register(convert<uint32_t>(value, mode));
    case Number::u64:
      return to_register(convert<uint64_t>(value, mode));
    case Number::s8:
      return to_register(convert<int8_t>(value, mode));
    case Number::s16:
      return to_register(convert<int16_t>(value, mode));
    case Number::s32:
      return to_register(convert<int32_t>(value, mode));
    case Number::s64:
      return to_register(convert<int64_t>(value, mode));
    case Number::f16:
      return to_register(convert<F16>(value, mode));
    case Number::bf16:
      return to_register(convert<BF16>(value, mode));
    case Number::f32:
      return to_register(convert<float>(value, mode));
    case Number::f64:
      return to_register(convert<double>(value, mode));
    case Number::tf32:
      if constexpr (std::is_same_v<From, float>) return to_register(convert<TF32>(value, mode));
      return 0;
    default:
      return 0;
  }
}

template <typename To, typename From>
uint64_t convert_packed(uint64_t from, const ConvertMode& mode) {
  return to_register(convert_pair<To>(from_register<Pair<From>>(from), mode));
}

uint64_t convert_packed(Number to_type, Number from_type, uint64_t from, const ConvertMode& mode) {
  if (to_type == Number::f16x2) {
    if (from_type == Number::e4m3x2) return convert_packed<F16, E4M3>(from, mode);
    if (from_type == Number::e5m2x2) return convert_packed<F16, E5M2>(from, mode);
  }
  if (to_type == Number::bf16x2) {
    if (from_type == Number::e4m3x2) return convert_packed<BF16, E4M3>(from, mode);
    if (from_type == Number::e5m2x2) return convert_packed<BF16, E5M2>(from, mode);
  }
  if (to_type == Number::e4m3x2) {
    if (from_type == Number::f16x2) return convert_packed<E4M3, F16>(from, mode);
    if (from_type == Number::bf16x2) return convert_packed<E4M3, BF16>(from, mode);
  }
  if (to_type == Number::e5m2x2) {
    if (from_type == Number::f16x2) return convert_packed<E5M2, F16>(from, mode);
    if (from_type == Number::bf16x2) return convert_packed<E5M2, BF16>(from, mode);
  }
  return 0;
}

}  // namespace

uint64_t convert_register(Number to_type, Number from_type, uint64_t from, ConvertMode mode) {
  switch (from_type) {
    case Number::u8:
      return convert_from(to_type, from_register<uint8_t>(from), mode);
    case Number::u16:
      return convert_from(to_type, from_register<uint16_t>(from), mode);
    case Number::u32:
      return convert_from(to_type, from_register<uint32_t>(from), mode);
    case Number::u64:
      return convert_from(to_type, from_register<uint64_t>(from), mode);
    case Number::s8:
      return convert_from(to_type, from_register<int8_t>(from), mode);
    case Number::s16:
      return convert_from(to_type, from_register<int16_t>(from), mode);
    case Number::s32:
      return convert_from(to_type, from_register<int32_t>(from), mode);
    case Number::s64:
      return convert_from(to_type, from_register<int64_t>(from), mode);
    case Number::f16:
      return convert_from(to_type, from_register<F16>(from), mode);
    case Number::bf16:
      return convert_from(to_type, from_register<BF16>(from), mode);
    case Number::f32:
      return convert_from(to_type, from_register<float>(from), mode);
    case Number::f64:
      return convert_from(to_type, from_register<double>(from), mode);
    default:
      return convert_packed(to_type, from_type, from, mode);
  }
}

uint64_t convert_register_pair(Number to_type, float upper, float lower, ConvertMode mode) {
  switch (to_type) {
    case Number::f16x2:
      return to_register(convert_pair<F16>(upper, lower, mode));
    case Number::bf16x2:
      return to_register(convert_pair<BF16>(upper, lower, mode));
    case Number::e4m3x2:
      return to_register(convert_pair<E4M3>(upper, lower, mode));
    case Number::e5m2x2:
      return to_register(convert_pair<E5M2>(upper, lower, mode));
    default:
      return 0;
  }
}

uint32_t convert_pack(int to_bits, bool to_signed, int32_t a, int32_t b, uint32_t c) {
  const int64_t least = to_signed ? -(int64_t{1} << (to_bits - 1)) : 0;
  const int64_t most = (int64_t{1} << (to_signed ? to_bits - 1 : to_bits)) - 1;
  const uint32_t mask = (1u << to_bits) - 1;
  const auto packed = [&](int32_t value) {
    const int64_t limited = value < least ? least : value > most ? most : value;
    return static_cast<uint32_t>(limited) & mask;
  };
  const uint32_t pair = packed(a) << to_bits | packed(b);
  return to_bits == 16 ? pair : c << (2 * to_bits) | pair;
}

}  // namespace assay::virtual_gpu
