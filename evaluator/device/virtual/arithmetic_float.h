// Floating-point arithmetic of PTX for f32, f64, f16, bf16 and their packed pairs.
//
// For T in float, double, F16, BF16, and Pair of F16, BF16 and float:
//   T add(T a, T b, FloatMode = {}), sub, mul;  T fma(T a, T b, T c, FloatMode = {}), one rounding
//   T neg(T a, bool ftz = false), abs
//   T min(T a, T b, MinMaxMode = {}), max
// For float and double:
//   T div(T a, T b, FloatMode = {});  T rcp(T a, FloatMode = {}), sqrt
//   T copysign(T sign, T magnitude);  bool testp(TestProperty, T a)
// For float, double, F16, BF16 and the integers:
//   bool compare(Compare, T a, T b, bool ftz = false)
//
// A mode that is constant at the call folds away; plain .rn of f32 and f64 is the host's
// instruction.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "evaluator/device/virtual/arithmetic_convert.h"
#include "evaluator/device/virtual/arithmetic_exact.h"
#include "evaluator/device/virtual/arithmetic_formats.h"

namespace assay::virtual_gpu {

/// setp, set: lo ls hi hs are the names for unsigned integers; the names with u are true on NaN.
enum class Compare : uint8_t {
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  lo,
  ls,
  hi,
  hs,
  equ,
  neu,
  ltu,
  leu,
  gtu,
  geu,
  num,
  nan
};

/// Modifiers of min and max.
struct MinMaxMode {
  bool ftz = false;
  bool nan = false;          // .NaN: a NaN operand makes the result NaN
  bool xorsign_abs = false;  // .xorsign.abs
  bool operator==(const MinMaxMode&) const = default;
};

enum class TestProperty : uint8_t { finite, infinite, number, not_a_number, normal, subnormal };

namespace detail {

inline float canonical_nan(float) { return std::bit_cast<float>(kNanF32); }
inline double canonical_nan(double) { return std::bit_cast<double>(0xfff8000000000000u); }
inline F16 canonical_nan(F16) { return {kNanF16}; }
inline BF16 canonical_nan(BF16) { return {kNanBF16}; }

inline float operand(float x, const FloatMode& mode) { return mode.ftz ? flush(x) : x; }
inline double operand(double x, const FloatMode&) { return x; }

inline float finished(float x, const FloatMode& mode) {
  x = x == x ? x : canonical_nan(x);
  if (mode.ftz) x = flush(x);
  if (mode.sat) x = x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;  // NaN too becomes +0
  return x;
}
inline double finished(double x, const FloatMode& mode) {
  if (mode.sat) x = x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0;
  return x;
}

/// f16 and bf16 results from their exact or odd-rounded value.
template <typename T>
T finished_half(double x, const FloatMode& mode) {
  if (mode.sat) x = x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0;
  if (mode.relu && !(x > 0.0) && x == x) x = 0.0;
  if constexpr (std::is_same_v<T, F16>) {
    // Below what rounds to 2^-14 with unbounded exponent.
    if (mode.ftz && std::fabs(x) < 0x1p-14 * (1 - 0x1p-12)) x = std::copysign(0.0, x);
  }
  return nearest<T>(x);
}

/// The exact value of an f16 or bf16 operand.
template <typename T>
double widened(T x, const FloatMode& mode) {
  if constexpr (std::is_same_v<T, F16>) {
    if (mode.ftz) x = flush(x);
  }
  return widen(x);
}

/// a + b as a double whose last bit is set if digits were lost.
inline double odd_sum(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a;
  const double error = (a - (sum - b_part)) + (b - b_part);
  if (!(error > 0 || error < 0)) return sum;  // exact, infinite or NaN
  auto bits = std::bit_cast<uint64_t>(sum);
  if ((bits & 1) != 0) return sum;
  const bool away_from_zero = (error > 0) == (sum > 0);
  return std::bit_cast<double>(away_from_zero ? bits + 1 : bits - 1);
}

template <typename T>
inline constexpr bool is_half = std::is_same_v<T, F16> || std::is_same_v<T, BF16>;
template <typename T>
inline constexpr bool is_float = std::is_floating_point_v<T> || is_half<T>;

inline float compared(float x) { return x; }
inline double compared(double x) { return x; }
inline float compared(F16 x) { return to_f32(x); }
inline float compared(BF16 x) { return to_f32(x); }

template <typename T>
struct Bits;
template <>
struct Bits<float> {
  using type = uint32_t;
};
template <>
struct Bits<double> {
  using type = uint64_t;
};
template <>
struct Bits<F16> {
  using type = uint16_t;
};
template <>
struct Bits<BF16> {
  using type = uint16_t;
};
template <typename T>
using BitsOf = typename Bits<T>::type;
template <typename T>
inline constexpr BitsOf<T> sign_mask = static_cast<BitsOf<T>>(BitsOf<T>{1} << (8 * sizeof(T) - 1));
template <typename T>
inline BitsOf<T> bits_of(T x) {
  return std::bit_cast<BitsOf<T>>(x);
}
template <typename T>
inline T of_bits(BitsOf<T> bits) {
  return std::bit_cast<T>(bits);
}

template <typename T>
inline T flushed(T x, bool ftz) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, F16>) {
    return ftz ? flush(x) : x;
  } else {
    return x;
  }
}

/// Whether neg and abs make a NaN canonical.
template <typename T>
inline bool loses_nan(T x, bool ftz) {
  if constexpr (is_half<T>) {
    return compared(x) != compared(x);
  } else {
    return ftz && x != x;
  }
}

/// Flushing looks at the result rounded with unbounded exponent. Only a result of 2^-126 can come
/// from a smaller number; `value` is then the exact result, or one whose last bit is sticky.
inline bool rounds_up_to_normal(double value, Rounding rounding) {
  constexpr double kBelow = 0x1p-126 * (1 - 0x1p-24);  // the next number with unbounded exponent
  const double magnitude = std::fabs(value);
  if (rounding == Rounding::rn) return magnitude >= (kBelow + 0x1p-126) / 2;
  const bool away = rounding == (value < 0 ? Rounding::rm : Rounding::rp);
  return away ? magnitude > kBelow : magnitude >= 0x1p-126;
}
inline bool is_smallest_normal(float x) {
  return (std::bit_cast<uint32_t>(x) & 0x7fffffffu) == 0x00800000u;
}

}  // namespace detail

// Addition, multiplication, fused multiply-add.

template <typename T>
requires std::is_floating_point_v<T>
inline T add(T a, T b, FloatMode mode = {}) {
  a = detail::operand(a, mode);
  b = detail::operand(b, mode);
  const T sum = mode.rounding == Rounding::rn ? a + b : add_rounded(a, b, mode.rounding);
  return detail::finished(sum, mode);
}

template <typename T>
requires std::is_floating_point_v<T>
inline T sub(T a, T b, FloatMode mode = {}) {
  a = detail::operand(a, mode);
  b = detail::operand(b, mode);
  const T difference = mode.rounding == Rounding::rn ? a - b : add_rounded(a, -b, mode.rounding);
  return detail::finished(difference, mode);
}

template <typename T>
requires std::is_floating_point_v<T>
inline T mul(T a, T b, FloatMode mode = {}) {
  a = detail::operand(a, mode);
  b = detail::operand(b, mode);
  T product = mode.rounding == Rounding::rn ? a * b : mul_rounded(a, b, mode.rounding);
  if constexpr (std::is_same_v<T, float>) {
    if (mode.ftz && detail::is_smallest_normal(product) &&
        !detail::rounds_up_to_normal(double{a} * b, mode.rounding)) {
      product = std::copysign(0.0f, product);
    }
  }
  return detail::finished(product, mode);
}

template <typename T>
requires std::is_floating_point_v<T>
inline T fma(T a, T b, T c, FloatMode mode = {}) {
  a = detail::operand(a, mode);
  b = detail::operand(b, mode);
  c = detail::operand(c, mode);
  T result =
      mode.rounding == Rounding::rn ? std::fma(a, b, c) : fma_rounded(a, b, c, mode.rounding);
  if constexpr (std::is_same_v<T, float>) {
    if (mode.ftz && detail::is_smallest_normal(result) &&
        !detail::rounds_up_to_normal(detail::odd_sum(double{a} * b, c), mode.rounding)) {
      result = std::copysign(0.0f, result);
    }
  }
  return detail::finished(result, mode);
}

// f16 and bf16: sums and products of two are exact in double up to what odd_sum keeps.

template <typename T>
requires detail::is_half<T>
inline T add(T a, T b, FloatMode mode = {}) {
  return detail::finished_half<T>(
      detail::odd_sum(detail::widened(a, mode), detail::widened(b, mode)), mode);
}

template <typename T>
requires detail::is_half<T>
inline T sub(T a, T b, FloatMode mode = {}) {
  return detail::finished_half<T>(
      detail::odd_sum(detail::widened(a, mode), -detail::widened(b, mode)), mode);
}

template <typename T>
requires detail::is_half<T>
inline T mul(T a, T b, FloatMode mode = {}) {
  return detail::finished_half<T>(detail::widened(a, mode) * detail::widened(b, mode), mode);
}

template <typename T>
requires detail::is_half<T>
inline T fma(T a, T b, T c, FloatMode mode = {}) {
  const double product = detail::widened(a, mode) * detail::widened(b, mode);
  return detail::finished_half<T>(detail::odd_sum(product, detail::widened(c, mode)), mode);
}

// Division and roots of f32 and f64.

template <typename T>
requires std::is_floating_point_v<T>
inline T div(T a, T b, FloatMode mode = {}) {
  a = detail::operand(a, mode);
  b = detail::operand(b, mode);
  T quotient = mode.rounding == Rounding::rn ? a / b : div_rounded(a, b, mode.rounding);
  if constexpr (std::is_same_v<T, float>) {
    // A quotient of floats is no closer to the bounds than a double tells apart.
    if (mode.ftz && detail::is_smallest_normal(quotient) &&
        !detail::rounds_up_to_normal(double{a} / b, mode.rounding)) {
      quotient = std::copysign(0.0f, quotient);
    }
  }
  return detail::finished(quotient, mode);
}

template <typename T>
requires std::is_floating_point_v<T>
inline T rcp(T a, FloatMode mode = {}) { return div(T{1}, a, mode); }

template <typename T>
requires std::is_floating_point_v<T>
inline T sqrt(T a, FloatMode mode = {}) {
  a = detail::operand(a, mode);
  const T root = mode.rounding == Rounding::rn ? std::sqrt(a) : sqrt_rounded(a, mode.rounding);
  return detail::finished(root, mode);
}

// Signs.

/// A NaN becomes canonical, except that f64, and f32 without ftz, only change its sign.
template <typename T>
requires detail::is_float<T>
inline T neg(T a, bool ftz = false) {
  a = detail::flushed(a, ftz);
  if (detail::loses_nan(a, ftz)) return detail::canonical_nan(a);
  return detail::of_bits<T>(
      static_cast<detail::BitsOf<T>>(detail::bits_of(a) ^ detail::sign_mask<T>));
}

template <typename T>
requires detail::is_float<T>
inline T abs(T a, bool ftz = false) {
  a = detail::flushed(a, ftz);
  if (detail::loses_nan(a, ftz)) return detail::canonical_nan(a);
  return detail::of_bits<T>(
      static_cast<detail::BitsOf<T>>(detail::bits_of(a) & ~detail::sign_mask<T>));
}

template <typename T>
requires std::is_floating_point_v<T>
inline T copysign(T sign, T magnitude) { return std::copysign(magnitude, sign); }

// Minimum and maximum: -0 is below +0; one NaN gives the other operand.

namespace detail {
template <typename T, bool Maximum>
inline T extreme(T a, T b, const MinMaxMode& mode) {
  using U = BitsOf<T>;
  a = flushed(a, mode.ftz);
  b = flushed(b, mode.ftz);
  const U sign = static_cast<U>((bits_of(a) ^ bits_of(b)) & sign_mask<T>);
  if (mode.xorsign_abs) {
    a = abs(a);
    b = abs(b);
  }
  const auto x = compared(a);
  const auto y = compared(b);
  U bits = bits_of((Maximum ? x > y : x < y) ? a : b);
  // Equal: the same bits, or zeros of two signs.
  if (x == y) {
    bits = static_cast<U>(Maximum ? bits_of(a) & bits_of(b) : bits_of(a) | bits_of(b));
  }
  if (y != y) bits = bits_of(a);
  if (x != x) bits = mode.nan || y != y ? bits_of(canonical_nan(a)) : bits_of(b);
  if (mode.nan && y != y) bits = bits_of(canonical_nan(a));
  const bool is_nan = x != x && y != y;
  if (mode.xorsign_abs && !is_nan && !(mode.nan && (x != x || y != y))) {
    bits = static_cast<U>(bits | sign);
  }
  return of_bits<T>(bits);
}
}  // namespace detail

template <typename T>
requires detail::is_float<T>
inline T min(T a, T b, MinMaxMode mode = {}) { return detail::extreme<T, false>(a, b, mode); }

template <typename T>
requires detail::is_float<T>
inline T max(T a, T b, MinMaxMode mode = {}) { return detail::extreme<T, true>(a, b, mode); }

// Comparisons and tests.

/// For integers too: signed or unsigned by T. num and nan of integers are true and false.
template <typename T>
inline bool compare(Compare comparison, T a, T b, bool ftz = false) {
  const auto ordered = [&](auto x, auto y) {
    const bool unordered = x != x || y != y;
    switch (comparison) {
      case Compare::eq:
        return x == y;
      case Compare::ne:
        return x != y && !unordered;
      case Compare::lt:
      case Compare::lo:
        return x < y;
      case Compare::le:
      case Compare::ls:
        return x <= y;
      case Compare::gt:
      case Compare::hi:
        return x > y;
      case Compare::ge:
      case Compare::hs:
        return x >= y;
      case Compare::equ:
        return x == y || unordered;
      case Compare::neu:
        return x != y;
      case Compare::ltu:
        return x < y || unordered;
      case Compare::leu:
        return x <= y || unordered;
      case Compare::gtu:
        return x > y || unordered;
      case Compare::geu:
        return x >= y || unordered;
      case Compare::num:
        return !unordered;
      case Compare::nan:
        return unordered;
    }
    return false;
  };
  if constexpr (detail::is_float<T>) {
    return ordered(detail::compared(detail::flushed(a, ftz)),
                   detail::compared(detail::flushed(b, ftz)));
  } else {
    return ordered(a, b);
  }
}

template <typename T>
requires std::is_floating_point_v<T>
inline bool testp(TestProperty property, T a) {
  switch (property) {
    case TestProperty::finite:
      return std::isfinite(a);
    case TestProperty::infinite:
      return std::isinf(a);
    case TestProperty::number:
      return a == a;
    case TestProperty::not_a_number:
      return a != a;
    case TestProperty::normal:
      return std::isnormal(a) || a == 0;  // zero counts as normal
    case TestProperty::subnormal:
      return std::fpclassify(a) == FP_SUBNORMAL;
  }
  return false;
}

// Packed pairs: each half by itself.

template <typename T>
inline Pair<T> add(Pair<T> a, Pair<T> b, FloatMode mode = {}) {
  return {add(a.low, b.low, mode), add(a.high, b.high, mode)};
}
template <typename T>
inline Pair<T> sub(Pair<T> a, Pair<T> b, FloatMode mode = {}) {
  return {sub(a.low, b.low, mode), sub(a.high, b.high, mode)};
}
template <typename T>
inline Pair<T> mul(Pair<T> a, Pair<T> b, FloatMode mode = {}) {
  return {mul(a.low, b.low, mode), mul(a.high, b.high, mode)};
}
template <typename T>
inline Pair<T> fma(Pair<T> a, Pair<T> b, Pair<T> c, FloatMode mode = {}) {
  return {fma(a.low, b.low, c.low, mode), fma(a.high, b.high, c.high, mode)};
}
template <typename T>
inline Pair<T> neg(Pair<T> a, bool ftz = false) {
  return {neg(a.low, ftz), neg(a.high, ftz)};
}
template <typename T>
inline Pair<T> abs(Pair<T> a, bool ftz = false) {
  return {abs(a.low, ftz), abs(a.high, ftz)};
}
template <typename T>
inline Pair<T> min(Pair<T> a, Pair<T> b, MinMaxMode mode = {}) {
  return {min(a.low, b.low, mode), min(a.high, b.high, mode)};
}
template <typename T>
inline Pair<T> max(Pair<T> a, Pair<T> b, MinMaxMode mode = {}) {
  return {max(a.low, b.low, mode), max(a.high, b.high, mode)};
}

}  // namespace assay::virtual_gpu
