// Integer and bit instructions of PTX. T is an (u)int16_t, (u)int32_t or (u)int64_t where a
// template says Integer; results wrap.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace assay::virtual_gpu {

template <typename T>
concept Integer = std::integral<T>;
template <Integer T>
using UnsignedOf = std::make_unsigned_t<T>;
template <Integer T>
inline constexpr uint32_t bit_count = 8 * sizeof(T);

/// shl, shr: a shift amount of the width or more gives 0 (shr of signed: all sign bits).
template <Integer T>
inline T shl(T a, uint32_t shift) {
  if (shift >= bit_count<T>) return 0;
  return static_cast<T>(uint64_t{static_cast<UnsignedOf<T>>(a)} << shift);
}
template <Integer T>
inline T shr(T a, uint32_t shift) {
  if (shift >= bit_count<T>) return static_cast<T>(std::is_signed_v<T> && a < 0 ? -1 : 0);
  return static_cast<T>(a >> shift);
}

/// shf.l, shf.r: funnel shift of hi:lo; clamp limits the amount to 32, wrap takes it modulo 32.
inline uint32_t shf_l(uint32_t lo, uint32_t hi, uint32_t shift, bool wrap) {
  const uint32_t amount = wrap ? shift & 31 : shift < 32 ? shift : 32;
  return static_cast<uint32_t>((uint64_t{hi} << 32 | lo) << amount >> 32);
}
inline uint32_t shf_r(uint32_t lo, uint32_t hi, uint32_t shift, bool wrap) {
  const uint32_t amount = wrap ? shift & 31 : shift < 32 ? shift : 32;
  return static_cast<uint32_t>((uint64_t{hi} << 32 | lo) >> amount);
}

namespace detail {
__extension__ typedef unsigned __int128 Unsigned128;
__extension__ typedef __int128 Signed128;
template <Integer T>
using Wide = std::conditional_t<sizeof(T) == 8,
                                std::conditional_t<std::is_signed_v<T>, Signed128, Unsigned128>,
                                std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

template <Integer T>
inline T saturated(int64_t value) {
  using Limits = std::numeric_limits<T>;
  if (value > int64_t{Limits::max()}) return Limits::max();
  if (value < int64_t{Limits::min()}) return Limits::min();
  return static_cast<T>(value);
}
}  // namespace detail

/// Wrapping add, sub, mul.lo and neg (C++'s signed overflow is undefined).
template <Integer T>
inline T add_wrap(T a, T b) {
  return static_cast<T>(uint64_t(a) + uint64_t(b));
}
template <Integer T>
inline T sub_wrap(T a, T b) {
  return static_cast<T>(uint64_t(a) - uint64_t(b));
}
template <Integer T>
inline T mul_lo(T a, T b) {
  return static_cast<T>(uint64_t(a) * uint64_t(b));
}
template <Integer T>
inline T mul_hi(T a, T b) {
  using Wide = detail::Wide<T>;
  return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b) >> bit_count<T>);
}

/// mul24: the low 24 bits of each operand, sign-extended for int32_t; low and high 32 bits of the
/// 48-bit product.
template <Integer T>
inline int64_t product24(T a, T b) {
  static_assert(sizeof(T) == 4);
  if constexpr (std::is_signed_v<T>) {
    const int32_t x = static_cast<int32_t>(static_cast<uint32_t>(a) << 8) >> 8;
    const int32_t y = static_cast<int32_t>(static_cast<uint32_t>(b) << 8) >> 8;
    return int64_t{x} * y;
  } else {
    return static_cast<int64_t>(uint64_t{a & 0xffffffu} * (b & 0xffffffu));
  }
}
template <Integer T>
inline T mul24_lo(T a, T b) {
  return static_cast<T>(product24(a, b));
}
template <Integer T>
inline T mul24_hi(T a, T b) {
  return static_cast<T>(product24(a, b) >> 16);
}

/// c + |a - b|
template <Integer T>
inline T sad(T a, T b, T c) {
  return add_wrap(c, a < b ? sub_wrap(b, a) : sub_wrap(a, b));
}

/// div and rem. Division by zero gives all ones, its remainder too (what hardware gives; the manual
/// leaves it open); MIN / -1 is MIN, remainder 0.
template <Integer T>
inline T divide(T a, T b) {
  if (b == 0) return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return sub_wrap(T{0}, a);
  }
  return static_cast<T>(a / b);
}
template <Integer T>
inline T remainder(T a, T b) {
  if (b == 0) return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return static_cast<T>(a % b);
}

inline int32_t add_sat(int32_t a, int32_t b) { return detail::saturated<int32_t>(int64_t{a} + b); }
inline int32_t sub_sat(int32_t a, int32_t b) { return detail::saturated<int32_t>(int64_t{a} - b); }
inline int32_t mad_hi_sat(int32_t a, int32_t b, int32_t c) {
  return detail::saturated<int32_t>((int64_t{a} * b >> 32) + c);
}

/// add.cc, addc: `carry` is CC.CF, in and out; for forms without carry in, set it to false first.
template <Integer T>
inline T add_carry(T a, T b, bool& carry) {
  static_assert(std::is_unsigned_v<T>);
  const T sum = a + b;
  const T total = sum + static_cast<T>(carry);
  carry = sum < a || total < sum;
  return total;
}
/// sub.cc, subc: `borrow` in and out.
template <Integer T>
inline T sub_borrow(T a, T b, bool& borrow) {
  static_assert(std::is_unsigned_v<T>);
  const T difference = a - b;
  const T total = difference - static_cast<T>(borrow);
  borrow = a < b || difference < static_cast<T>(borrow);
  return total;
}

enum class PermuteMode : uint8_t { index, f4e, b4e, rc8, ecl, ecr, rc16 };
uint32_t prmt(uint32_t a, uint32_t b, uint32_t control, PermuteMode mode = PermuteMode::index);

template <Integer T>
inline T lop3(T a, T b, T c, uint8_t table) {
  // For each of the 8 combinations of input bits that the table names: the bits that have it.
  T result = 0;
  for (int row = 0; row < 8; ++row) {
    const T selected = static_cast<T>(((row & 4) != 0 ? a : ~a) & ((row & 2) != 0 ? b : ~b) &
                                      ((row & 1) != 0 ? c : ~c));
    result = static_cast<T>(result | ((table >> row & 1) != 0 ? selected : 0));
  }
  return result;
}

/// bfe: `length` bits of a from `position`. For signed T the field's highest bit, or that of a
/// where the field reaches beyond it, fills the rest. Of position and length only the low eight
/// bits count in the 32-bit forms; the 64-bit forms take them whole, as hardware does (the manual
/// says eight).
template <Integer T>
inline T bfe(T a, uint32_t position, uint32_t length) {
  constexpr uint32_t kTop = bit_count<T> - 1;
  if constexpr (sizeof(T) == 4) {
    position &= 0xff;
    length &= 0xff;
  }
  if (length == 0) return 0;
  const T moved = shr(a, position);  // signed T brings the sign in from above
  if (length > kTop) return moved;
  const uint32_t unused = kTop + 1 - length;
  return shr(shl(moved, unused), unused);
}

/// bfi: `base` with `length` bits from `position` on replaced by the low bits of `field`.
template <Integer T>
inline T bfi(T field, T base, uint32_t position, uint32_t length) {
  if constexpr (sizeof(T) == 4) {
    position &= 0xff;
    length &= 0xff;
  }
  const T ones = static_cast<T>(-1);
  const T low = length >= bit_count<T> ? ones : static_cast<T>(~shl(ones, length));
  const T mask = shl(low, position);
  return static_cast<T>((base & ~mask) | (shl(field, position) & mask));
}

template <Integer T>
inline uint32_t popc(T a) {
  return static_cast<uint32_t>(std::popcount(static_cast<UnsignedOf<T>>(a)));
}
template <Integer T>
inline uint32_t clz(T a) {
  return static_cast<uint32_t>(std::countl_zero(static_cast<UnsignedOf<T>>(a)));
}
template <Integer T>
inline T brev(T a) {
  auto bits = static_cast<UnsignedOf<T>>(a);
  UnsignedOf<T> result = 0;
  for (uint32_t i = 0; i < bit_count<T>; ++i, bits >>= 1) {
    result = static_cast<UnsignedOf<T>>(result << 1 | (bits & 1));
  }
  return static_cast<T>(result);
}

/// bfind: the highest bit that differs from the sign (unsigned: that is set), as a position or,
/// with .shiftamt, as the shift that brings it to the top; 0xffffffff: none.
template <Integer T>
inline uint32_t bfind(T a, bool shift_amount = false) {
  if constexpr (std::is_signed_v<T>) {
    if (a < 0) a = static_cast<T>(~a);
  }
  if (a == 0) return 0xffffffffu;
  const uint32_t zeros = clz(a);
  return shift_amount ? zeros : bit_count<T> - 1 - zeros;
}

/// fns: the position of the |offset|-th set bit of mask from `base` on, upwards or, for a negative
/// offset, downwards; 0xffffffff: none.
uint32_t fns(uint32_t mask, uint32_t base, int32_t offset);
/// szext: the low n bits of a, sign- or zero-extended; n modulo 32, or limited to 32.
uint32_t szext(uint32_t a, uint32_t n, bool is_signed, bool wrap);
/// bmsk: `length` ones from `position` on.
uint32_t bmsk(uint32_t position, uint32_t length, bool wrap);

/// dp4a: c + the dot product of four bytes.
uint32_t dp4a(uint32_t a, bool a_signed, uint32_t b, bool b_signed, uint32_t c);
/// dp2a: two 16-bit elements of a by the lower or upper two bytes of b.
uint32_t dp2a(uint32_t a, bool a_signed, uint32_t b, bool b_signed, uint32_t c, bool upper);

template <Integer T>
inline T min(T a, T b) {
  return b < a ? b : a;
}
template <Integer T>
inline T max(T a, T b) {
  return a < b ? b : a;
}
inline int32_t min_relu(int32_t a, int32_t b) { return max(min(a, b), 0); }
inline int32_t max_relu(int32_t a, int32_t b) { return max(max(a, b), 0); }

/// The elementwise forms on 16-bit halves: add, min, max .u16x2 .s16x2.
uint32_t add_16x2(uint32_t a, uint32_t b);
uint32_t min_16x2(uint32_t a, uint32_t b, bool is_signed, bool relu = false);
uint32_t max_16x2(uint32_t a, uint32_t b, bool is_signed, bool relu = false);

template <Integer T>
inline T neg(T a) {
  return sub_wrap(T{0}, a);
}
/// abs(MIN) is MIN.
template <Integer T>
inline T abs(T a) {
  return a < 0 ? neg(a) : a;
}

}  // namespace assay::virtual_gpu
