#include "evaluator/device/virtual/arithmetic_exact.h"

#include <bit>
#include <cmath>
#include <utility>

namespace assay::virtual_gpu {
namespace {

// Theory: every operation brings its operands to significands with the leading bit at position 126,
// so that a sum fits 128 bits. The smaller operand of a sum is shifted right; what falls out is
// kept as a sticky bit 0. Digits are lost only when the shift is larger than the 21 or more zero
// bits below a product of two doubles, and then at most one leading bit can cancel: bit 0 stays far
// below the rounding position of any format here.

constexpr int kLeadingBit = 126;

int leading_bit(UInt128 value) {
  const auto high = static_cast<uint64_t>(value >> 64);
  if (high != 0) return 127 - std::countl_zero(high);
  return 63 - std::countl_zero(static_cast<uint64_t>(value));
}

Exact normalised(Exact value) {
  if (value.significand == 0) return value;
  const int shift = kLeadingBit - leading_bit(value.significand);
  value.significand <<= shift;
  value.exponent -= shift;
  return value;
}

UInt128 shift_right_sticky(UInt128 value, int shift) {
  if (shift == 0) return value;
  if (shift > 127) return value != 0;
  const UInt128 lost = value & ((UInt128{1} << shift) - 1);
  return (value >> shift) | (lost != 0 ? 1 : 0);
}

/// The sign of an exact zero sum is negative only when rounding down, or when both terms are
/// negative zeros.
Exact sum(Exact a, Exact b, Rounding rounding) {
  if (a.significand == 0 && b.significand == 0) {
    a.negative = a.negative == b.negative ? a.negative : rounding == Rounding::rm;
    return a;
  }
  if (a.significand == 0) return b;
  if (b.significand == 0) return a;
  a = normalised(a);
  b = normalised(b);
  if (a.exponent < b.exponent) std::swap(a, b);
  b.significand = shift_right_sticky(b.significand, a.exponent - b.exponent);
  if (a.negative == b.negative) {
    a.significand += b.significand;
  } else if (a.significand > b.significand) {
    a.significand -= b.significand;
  } else if (a.significand < b.significand) {
    a.significand = b.significand - a.significand;
    a.negative = b.negative;
  } else {
    a.significand = 0;
    a.negative = rounding == Rounding::rm;
  }
  return a;
}

Exact product(const Exact& a, const Exact& b) {
  return {a.negative != b.negative, a.exponent + b.exponent, a.significand * b.significand};
}

Exact quotient(const Exact& a, const Exact& b) {
  const Exact dividend = normalised(a);
  Exact result{a.negative != b.negative, dividend.exponent - b.exponent,
               dividend.significand / b.significand};
  // At least 126 - 52 bits of quotient: the sticky bit cannot reach a rounding position.
  if (dividend.significand % b.significand != 0) result.significand |= 1;
  return result;
}

Exact square_root(const Exact& a) {
  Exact radicand = normalised(a);
  if ((radicand.exponent & 1) != 0) {
    radicand.significand >>= 1;
    ++radicand.exponent;
  }
  UInt128 root = 0;
  UInt128 rest = radicand.significand;
  for (UInt128 bit = UInt128{1} << kLeadingBit; bit != 0; bit >>= 2) {
    if (rest >= root + bit) {
      rest -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return {false, radicand.exponent / 2 - 1, (root << 1) | (rest != 0 ? 1 : 0)};
}

bool rounds_up(bool negative, bool odd, int compared_to_half, bool inexact, Rounding rounding) {
  switch (rounding) {
    case Rounding::rn:
      return compared_to_half > 0 || (compared_to_half == 0 && odd);
    case Rounding::rna:
      return compared_to_half >= 0;
    case Rounding::rz:
      return false;
    case Rounding::rm:
      return inexact && negative;
    case Rounding::rp:
      return inexact && !negative;
  }
  return false;
}

float rounded_to(const Exact& value, Rounding rounding, float) {
  return std::bit_cast<float>(static_cast<uint32_t>(encode(value, kF32, rounding)));
}
double rounded_to(const Exact& value, Rounding rounding, double) {
  return std::bit_cast<double>(encode(value, kF64, rounding));
}

template <typename T>
T add_any(T a, T b, Rounding rounding) {
  if (!std::isfinite(a) || !std::isfinite(b)) return a + b;
  return rounded_to(sum(exact(double{a}), exact(double{b}), rounding), rounding, a);
}

template <typename T>
T mul_any(T a, T b, Rounding rounding) {
  if (!std::isfinite(a) || !std::isfinite(b)) return a * b;
  return rounded_to(product(exact(double{a}), exact(double{b})), rounding, a);
}

template <typename T>
T fma_any(T a, T b, T c, Rounding rounding) {
  if (!std::isfinite(a) || !std::isfinite(b) || !std::isfinite(c)) return std::fma(a, b, c);
  const Exact ab = product(exact(double{a}), exact(double{b}));
  return rounded_to(sum(ab, exact(double{c}), rounding), rounding, a);
}

template <typename T>
T div_any(T a, T b, Rounding rounding) {
  if (!std::isfinite(a) || !std::isfinite(b) || b == 0 || a == 0) return a / b;
  return rounded_to(quotient(exact(double{a}), exact(double{b})), rounding, a);
}

template <typename T>
T sqrt_any(T a, Rounding rounding) {
  if (!std::isfinite(a) || a <= 0) return std::sqrt(a);
  return rounded_to(square_root(exact(double{a})), rounding, a);
}

}  // namespace

Exact exact(double finite) {
  const auto bits = std::bit_cast<uint64_t>(finite);
  const int biased = static_cast<int>(bits >> 52) & 0x7ff;
  const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  Exact value;
  value.negative = (bits >> 63) != 0;
  value.exponent = (biased == 0 ? 1 : biased) - 1075;
  value.significand = biased == 0 ? fraction : fraction | uint64_t{1} << 52;
  return value;
}

Exact exact(uint64_t value) { return {false, 0, value}; }

Exact exact(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  return {value < 0, 0, value < 0 ? uint64_t{0} - bits : bits};
}

uint64_t encode(const Exact& value, const FormatShape& format, Rounding rounding, bool satfinite) {
  const uint64_t sign = uint64_t{value.negative} << format.sign_bit;
  if (value.significand == 0) return sign;
  const int leading = value.exponent + leading_bit(value.significand);
  const int exponent = leading > format.min_exponent ? leading : format.min_exponent;
  const int shift = exponent - format.mantissa_bits - value.exponent;
  UInt128 kept;
  int compared_to_half = -1;  // what is cut off against half a unit in the last place
  bool inexact = false;
  if (shift <= 0) {
    kept = value.significand << -shift;
  } else if (shift > 127) {
    kept = 0;
    inexact = true;
  } else {
    kept = value.significand >> shift;
    const UInt128 lost = value.significand & ((UInt128{1} << shift) - 1);
    const UInt128 half = UInt128{1} << (shift - 1);
    compared_to_half = lost > half ? 1 : lost == half ? 0 : -1;
    inexact = lost != 0;
  }
  if (rounds_up(value.negative, (kept & 1) != 0, compared_to_half, inexact, rounding)) ++kept;
  // A carry out of the mantissa moves into the exponent field by itself.
  const auto above_minimum = static_cast<uint64_t>(exponent - format.min_exponent);
  const bool too_large = above_minimum > format.overflow_code >> format.mantissa_bits;
  const uint64_t code = (above_minimum << format.mantissa_bits) + static_cast<uint64_t>(kept);
  if (!too_large && code < format.overflow_code) return sign | code;
  const bool to_infinity = rounding == Rounding::rn || rounding == Rounding::rna ||
                           rounding == (value.negative ? Rounding::rm : Rounding::rp);
  if (!format.has_infinity || satfinite || !to_infinity) return sign | (format.overflow_code - 1);
  return sign | format.overflow_code;
}

float add_rounded(float a, float b, Rounding rounding) { return add_any(a, b, rounding); }
double add_rounded(double a, double b, Rounding rounding) { return add_any(a, b, rounding); }
float mul_rounded(float a, float b, Rounding rounding) { return mul_any(a, b, rounding); }
double mul_rounded(double a, double b, Rounding rounding) { return mul_any(a, b, rounding); }
float fma_rounded(float a, float b, float c, Rounding rounding) {
  return fma_any(a, b, c, rounding);
}
double fma_rounded(double a, double b, double c, Rounding rounding) {
  return fma_any(a, b, c, rounding);
}
float div_rounded(float a, float b, Rounding rounding) { return div_any(a, b, rounding); }
double div_rounded(double a, double b, Rounding rounding) { return div_any(a, b, rounding); }
float sqrt_rounded(float a, Rounding rounding) { return sqrt_any(a, rounding); }
double sqrt_rounded(double a, Rounding rounding) { return sqrt_any(a, rounding); }

}  // namespace assay::virtual_gpu
