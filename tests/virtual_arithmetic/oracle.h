// Independent ways to the right answer: sorted tables of every value of a narrow format, and the
// host's floating-point unit in another rounding mode.
#pragma once

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "evaluator/device/virtual/arithmetic.h"

namespace assay::virtual_gpu::oracle {

/// All finite non-negative values of a format by code, decoded from the definition of the format.
class Table {
 public:
  Table(int mantissa_bits, int bias, uint32_t finite_codes, bool has_infinity)
      : has_infinity_(has_infinity) {
    for (uint32_t code = 0; code < finite_codes; ++code) {
      const int exponent = static_cast<int>(code >> mantissa_bits);
      const auto fraction = static_cast<long double>(code & ((1u << mantissa_bits) - 1));
      const long double unit = std::ldexp(1.0L, mantissa_bits);
      values_.push_back(exponent == 0 ? std::ldexp(fraction / unit, 1 - bias)
                                      : std::ldexp(1.0L + fraction / unit, exponent - bias));
    }
    // What the next code would mean: nearest rounds to infinity from half way there on.
    const long double step = values_[finite_codes - 1] - values_[finite_codes - 2];
    beyond_ = values_.back() + step;
  }

  const std::vector<long double>& values() const { return values_; }
  uint32_t infinity() const { return static_cast<uint32_t>(values_.size()); }

  /// The code of the magnitude of `x` (not NaN), whose sign decides rm and rp.
  uint32_t magnitude_code(long double x, Rounding rounding, bool satfinite = false) const {
    const bool negative = std::signbit(x);
    const long double magnitude = std::fabs(x);
    const uint32_t largest = infinity() - 1;
    const uint32_t overflow = has_infinity_ && !satfinite ? infinity() : largest;
    if (std::isinf(x)) return overflow;
    const auto above = std::upper_bound(values_.begin(), values_.end(), magnitude);
    const auto low = static_cast<uint32_t>(above - values_.begin()) - 1;
    if (values_[low] == magnitude) return low;
    const long double next = low == largest ? beyond_ : values_[low + 1];
    const long double middle = values_[low] + (next - values_[low]) / 2;
    bool up = false;
    switch (rounding) {
      case Rounding::rn:
        up = magnitude > middle || (magnitude == middle && (low & 1) != 0);
        break;
      case Rounding::rna:
        up = magnitude >= middle;
        break;
      case Rounding::rz:
        break;
      case Rounding::rm:
        up = negative;
        break;
      case Rounding::rp:
        up = !negative;
        break;
    }
    if (!up) return low;
    return low == largest ? overflow : low + 1;
  }

 private:
  std::vector<long double> values_;
  long double beyond_ = 0;
  bool has_infinity_;
};

inline const Table& f16() {
  static const Table table(10, 15, 0x7c00, true);
  return table;
}
inline const Table& bf16() {
  static const Table table(7, 127, 0x7f80, true);
  return table;
}
inline const Table& tf32() {
  static const Table table(10, 127, 0xff << 10, true);
  return table;
}
inline const Table& e4m3() {
  static const Table table(3, 7, 0x7f, false);
  return table;
}
inline const Table& e5m2() {
  static const Table table(2, 15, 0x7c, true);
  return table;
}

/// The host's rounding while this object lives. Operands must be volatile.
class HostRounding {
 public:
  explicit HostRounding(Rounding rounding) {
    std::fesetround(rounding == Rounding::rz   ? FE_TOWARDZERO
                    : rounding == Rounding::rm ? FE_DOWNWARD
                    : rounding == Rounding::rp ? FE_UPWARD
                                               : FE_TONEAREST);
  }
  ~HostRounding() { std::fesetround(FE_TONEAREST); }
  HostRounding(const HostRounding&) = delete;
  HostRounding& operator=(const HostRounding&) = delete;
};

/// `x` read from and written to memory, so that no operation on it happens earlier or elsewhere.
template <typename T>
T pinned(T x) {
  volatile T kept = x;
  return kept;
}

/// The nearest code of a value between two bounds that the host computed in double, rounding down
/// and up: equal bounds are exact, and between two neighbouring doubles lies no midpoint of a
/// narrow format, so that their exact mean (long double) rounds as the true value does. NaN is
/// 0x7fff.
inline uint32_t nearest_code(const Table& table, double low, double high) {
  if (std::isnan(low) || std::isnan(high)) return 0x7fff;
  const long double value =
      low == high ? static_cast<long double>(low) : (static_cast<long double>(low) + high) / 2;
  const bool negative = low == high ? std::signbit(low) : high <= 0;
  return table.magnitude_code(value, Rounding::rn) | (negative ? 0x8000u : 0);
}

/// The code of a * b + c, rounded once, for F16 and BF16.
template <typename T>
uint32_t fused_code(const Table& table, T a, T b, T c) {
  volatile double x = to_f32(a), y = to_f32(b), z = to_f32(c);
  volatile double low = 0, high = 0, nearest = std::fma(x, y, z);
  {
    HostRounding host(Rounding::rm);
    low = std::fma(x, y, z);
  }
  {
    HostRounding host(Rounding::rp);
    high = std::fma(x, y, z);
  }
  const double sign_of_zero = nearest;
  if (low == 0 && high == 0) return nearest_code(table, sign_of_zero, sign_of_zero);
  return nearest_code(table, low, high);
}

inline constexpr Rounding kDirected[] = {Rounding::rn, Rounding::rz, Rounding::rm, Rounding::rp};

/// Numbers that make trouble, and random ones over all exponents with few or many mantissa bits.
template <typename T>
std::vector<T> interesting_values(size_t random_count) {
  using Limits = std::numeric_limits<T>;
  const T one = 1;
  std::vector<T> values = {T(0),
                           one,
                           T(3),
                           T(0.1),
                           T(1e-3),
                           T(255.5),
                           Limits::min(),
                           Limits::denorm_min(),
                           Limits::max(),
                           Limits::infinity(),
                           std::nextafter(one, T(0)),
                           std::nextafter(one, T(2)),
                           std::nextafter(Limits::min(), T(0)),
                           Limits::epsilon(),
                           std::sqrt(Limits::min()),
                           std::sqrt(Limits::max())};
  std::mt19937_64 random(12345);
  for (size_t i = 0; i < random_count; ++i) {
    if constexpr (sizeof(T) == 4) {
      const auto bits = static_cast<uint32_t>(random()) & 0x7fffffffu;
      const uint32_t kept = i % 3 == 0 ? bits & 0x7fff0000u : bits;
      values.push_back(std::bit_cast<float>(kept >= 0x7f800000u ? kept & 0x3fffffffu : kept));
    } else {
      const uint64_t bits = random() & 0x7fffffffffffffffu;
      const uint64_t kept = i % 3 == 0 ? bits & 0x7fffffff00000000u : bits;
      values.push_back(
          std::bit_cast<double>(kept >= 0x7ff0000000000000u ? kept & 0x3fffffffffffffffu : kept));
    }
    // Near each other, so that sums cancel.
    if (i % 4 == 3) values.back() = std::nextafter(values[values.size() - 2], T(1));
  }
  const size_t positive = values.size();
  for (size_t i = 0; i < positive; ++i) values.push_back(-values[i]);
  values.push_back(Limits::quiet_NaN());
  return values;
}

/// Equal bits, or both NaN.
template <typename T>
bool same(T a, T b) {
  return (a != a && b != b) || std::bit_cast<decltype(detail::bits_of(a))>(a) == detail::bits_of(b);
}

}  // namespace assay::virtual_gpu::oracle
