// Elements as doubles: conversion between double and every dtype, rounding to nearest, ties to
// even. Compiled for the CPU and for GPUs; the bits are the same on both. dtype.h declares the
// interface for host code.
#pragma once

#include "tasks/dtype.h"

namespace assay::element {

ASSAY_HOST_DEVICE inline uint64_t bits_of(double value) {
#ifdef __CUDA_ARCH__
  return static_cast<uint64_t>(__double_as_longlong(value));
#else
  uint64_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
#endif
}

ASSAY_HOST_DEVICE inline double double_of(uint64_t bits) {
#ifdef __CUDA_ARCH__
  return __longlong_as_double(static_cast<long long>(bits));
#else
  double value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
#endif
}

/// 2^exponent, for exponents of normal doubles (-1022 ... 1023).
ASSAY_HOST_DEVICE inline double power_of_two(int exponent) {
  return double_of(static_cast<uint64_t>(exponent + 1023) << 52);
}

/// A binary floating-point format of at most 32 bits with subnormals.
struct Format {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;  // false: the OCP e4m3 format, whose all-ones exponent holds numbers

  ASSAY_HOST_DEVICE constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  /// The code above the largest finite one, without the sign: infinity, or the NaN of e4m3.
  ASSAY_HOST_DEVICE constexpr uint32_t overflow_code() const {
    const uint32_t all_ones = (1u << exponent_bits) - 1;
    return has_infinity ? all_ones << mantissa_bits : (1u << (exponent_bits + mantissa_bits)) - 1;
  }
  ASSAY_HOST_DEVICE constexpr uint32_t nan_code() const {
    return has_infinity ? overflow_code() | (1u << (mantissa_bits - 1)) : overflow_code();
  }
  ASSAY_HOST_DEVICE constexpr uint32_t sign_code() const {
    return 1u << (exponent_bits + mantissa_bits);
  }
};

inline constexpr Format kF16{5, 10, true};
inline constexpr Format kBf16{8, 7, true};
inline constexpr Format kTf32{8, 10, true};  // 19 bits; stored shifted left by 13
inline constexpr Format kE4m3{4, 3, false};
inline constexpr Format kE5m2{5, 2, true};

ASSAY_HOST_DEVICE inline uint32_t encode(Format format, double value) {
  const uint64_t bits = bits_of(value);
  const uint32_t sign = bits >> 63 ? format.sign_code() : 0;
  const uint64_t magnitude = bits & 0x7fffffffffffffffull;
  if (magnitude > 0x7ff0000000000000ull) return sign | format.nan_code();
  if (magnitude == 0x7ff0000000000000ull) return sign | format.overflow_code();
  const int exponent = static_cast<int>(magnitude >> 52) - 1023;
  const int lowest_exponent = 1 - format.bias();
  uint64_t kept = magnitude;  // its bits from `shift` on are the code
  int shift = 52 - format.mantissa_bits;
  if (exponent < lowest_exponent) {
    // Subnormal in the format: the leading one becomes explicit and moves right. (A subnormal
    // double is far below every format, so that its wrong leading one does not matter.)
    shift += lowest_exponent - exponent;
    if (shift > 53) return sign;  // below half of the smallest subnormal
    kept = (magnitude & 0xfffffffffffffull) | 0x10000000000000ull;
  } else {
    kept -= static_cast<uint64_t>(1023 - format.bias()) << 52;
  }
  // Adding just less than half, or half where the kept part is odd, rounds to nearest even. A carry
  // out of the mantissa raises the exponent, as it should.
  kept += (uint64_t{1} << (shift - 1)) - 1 + ((kept >> shift) & 1);
  uint64_t code = kept >> shift;
  if (code > format.overflow_code()) code = format.overflow_code();
  return sign | static_cast<uint32_t>(code);
}

ASSAY_HOST_DEVICE inline double decode(Format format, uint32_t code) {
  const bool negative = (code & format.sign_code()) != 0;
  const uint32_t magnitude = code & (format.sign_code() - 1);
  double value;
  if (magnitude == format.overflow_code() && format.has_infinity) {
    value = double_of(0x7ff0000000000000ull);
  } else if (magnitude >= format.overflow_code()) {
    value = double_of(0x7ff8000000000000ull);
  } else {
    const uint32_t mantissa = magnitude & ((1u << format.mantissa_bits) - 1);
    const int field = static_cast<int>(magnitude >> format.mantissa_bits);
    const uint32_t significand = field == 0 ? mantissa : mantissa | (1u << format.mantissa_bits);
    const int exponent = (field == 0 ? 1 : field) - format.bias() - format.mantissa_bits;
    value = significand * power_of_two(exponent);
  }
  return negative ? -value : value;
}

/// To the nearest integer, ties to even; magnitudes from 2^52 on are integers already.
ASSAY_HOST_DEVICE inline double nearest_integer(double value) {
  const double magic = 4503599627370496.0;  // 2^52
  if (value >= 0) return value < magic ? (value + magic) - magic : value;
  return value > -magic ? -((magic - value) - magic) : value;  // NaN comes back as it is
}

/// The nearest integer within [low, high]; NaN is 0.
ASSAY_HOST_DEVICE inline double saturated(double value, double low, double high) {
  if (value != value) return 0;
  const double whole = nearest_integer(value);
  return whole < low ? low : whole > high ? high : whole;
}

ASSAY_HOST_DEVICE inline int64_t to_i64(double value) {
  if (value != value) return 0;
  if (value >= 9223372036854775808.0) return 0x7fffffffffffffffll;
  if (value <= -9223372036854775808.0) return -0x7fffffffffffffffll - 1;
  return static_cast<int64_t>(nearest_integer(value));
}

/// Writes element number `index` of an aligned array. The rules are those of from_double().
ASSAY_HOST_DEVICE inline void store(Dtype dtype, void* data, uint64_t index, double value) {
  switch (dtype) {
    case Dtype::f64:
      static_cast<double*>(data)[index] = value;
      break;
    case Dtype::f32:
      static_cast<float*>(data)[index] = static_cast<float>(value);
      break;
    case Dtype::tf32:
      static_cast<uint32_t*>(data)[index] = encode(kTf32, value) << 13;
      break;
    case Dtype::f16:
      static_cast<uint16_t*>(data)[index] = static_cast<uint16_t>(encode(kF16, value));
      break;
    case Dtype::bf16:
      static_cast<uint16_t*>(data)[index] = static_cast<uint16_t>(encode(kBf16, value));
      break;
    case Dtype::e4m3:
      static_cast<uint8_t*>(data)[index] = static_cast<uint8_t>(encode(kE4m3, value));
      break;
    case Dtype::e5m2:
      static_cast<uint8_t*>(data)[index] = static_cast<uint8_t>(encode(kE5m2, value));
      break;
    case Dtype::i64:
      static_cast<int64_t*>(data)[index] = to_i64(value);
      break;
    case Dtype::i32:
      static_cast<int32_t*>(data)[index] =
          static_cast<int32_t>(saturated(value, -2147483648.0, 2147483647.0));
      break;
    case Dtype::i16:
      static_cast<int16_t*>(data)[index] = static_cast<int16_t>(saturated(value, -32768, 32767));
      break;
    case Dtype::i8:
      static_cast<int8_t*>(data)[index] = static_cast<int8_t>(saturated(value, -128, 127));
      break;
    case Dtype::u32:
      static_cast<uint32_t*>(data)[index] =
          static_cast<uint32_t>(saturated(value, 0, 4294967295.0));
      break;
    case Dtype::u8:
      static_cast<uint8_t*>(data)[index] = static_cast<uint8_t>(saturated(value, 0, 255));
      break;
    case Dtype::boolean:
      static_cast<uint8_t*>(data)[index] = value != 0 ? 1 : 0;
      break;
  }
}

/// Element number `index` of an aligned array. The rules are those of to_double().
ASSAY_HOST_DEVICE inline double load(Dtype dtype, const void* data, uint64_t index) {
  switch (dtype) {
    case Dtype::f64:
      return static_cast<const double*>(data)[index];
    case Dtype::f32:
      return static_cast<const float*>(data)[index];
    case Dtype::tf32:
      return static_cast<const float*>(data)[index];
    case Dtype::f16:
      return decode(kF16, static_cast<const uint16_t*>(data)[index]);
    case Dtype::bf16:
      return decode(kBf16, static_cast<const uint16_t*>(data)[index]);
    case Dtype::e4m3:
      return decode(kE4m3, static_cast<const uint8_t*>(data)[index]);
    case Dtype::e5m2:
      return decode(kE5m2, static_cast<const uint8_t*>(data)[index]);
    case Dtype::i64:
      return static_cast<double>(static_cast<const int64_t*>(data)[index]);
    case Dtype::i32:
      return static_cast<const int32_t*>(data)[index];
    case Dtype::i16:
      return static_cast<const int16_t*>(data)[index];
    case Dtype::i8:
      return static_cast<const int8_t*>(data)[index];
    case Dtype::u32:
      return static_cast<const uint32_t*>(data)[index];
    case Dtype::u8:
      return static_cast<const uint8_t*>(data)[index];
    case Dtype::boolean:
      return static_cast<const uint8_t*>(data)[index] != 0 ? 1 : 0;
  }
  return 0;
}

/// The largest finite value of the dtype.
ASSAY_HOST_DEVICE inline double largest_value(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
      return 1.7976931348623157e308;
    case Dtype::f32:
      return 3.4028234663852886e38;
    case Dtype::tf32:
      return 3.4011621342146535e38;
    case Dtype::f16:
      return 65504;
    case Dtype::bf16:
      return 3.3895313892515355e38;
    case Dtype::e4m3:
      return 448;
    case Dtype::e5m2:
      return 57344;
    case Dtype::i64:
      return 9223372036854774784.0;  // the largest double below 2^63
    case Dtype::i32:
      return 2147483647;
    case Dtype::i16:
      return 32767;
    case Dtype::i8:
      return 127;
    case Dtype::u32:
      return 4294967295.0;
    case Dtype::u8:
      return 255;
    case Dtype::boolean:
      return 1;
  }
  return 0;
}

}  // namespace assay::element
