// Exact arithmetic with one rounding at the end: how every result that the host's own instructions
// do not produce (directed rounding, narrow formats) is computed.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/arithmetic_formats.h"

namespace assay::virtual_gpu {

__extension__ typedef unsigned __int128 UInt128;

/// A finite number: (-1)^negative * significand * 2^exponent. Where digits were lost below, bit 0
/// of the significand is set instead ("sticky"), which keeps every later rounding correct as long
/// as bit 0 is below the rounding position.
struct Exact {
  bool negative = false;
  int exponent = 0;
  UInt128 significand = 0;
};

/// A binary format by its encoding: codes grow with magnitude, subnormals included.
struct FormatShape {
  int mantissa_bits;       // stored
  int min_exponent;        // of the smallest normal number
  uint64_t overflow_code;  // the first magnitude code that is not a finite number
  int sign_bit;            // its position
  bool has_infinity;       // the code at overflow_code
};
inline constexpr FormatShape kF64{52, -1022, uint64_t{0x7ff} << 52, 63, true};
inline constexpr FormatShape kF32{23, -126, 0x7f800000u, 31, true};
inline constexpr FormatShape kTF32{10, -126, 0xffu << 10, 18, true};  // before the shift by 13
inline constexpr FormatShape kF16{10, -14, 0x7c00u, 15, true};
inline constexpr FormatShape kBF16{7, -126, 0x7f80u, 15, true};
inline constexpr FormatShape kE5M2{2, -14, 0x7cu, 7, true};
inline constexpr FormatShape kE4M3{3, -6, 0x7fu, 7, false};

Exact exact(double finite);
Exact exact(uint64_t value);
Exact exact(int64_t value);

/// The code of `value` in a format, rounded once. Overflow gives infinity or the largest finite
/// number as IEEE 754 says for the rounding; always the latter with `satfinite` or where the format
/// has no infinity.
uint64_t encode(const Exact& value, const FormatShape& format, Rounding rounding,
                bool satfinite = false);

/// The operations in any rounding, all operands and special values included. NaN results are those
/// of the host (callers make them canonical).
float add_rounded(float a, float b, Rounding rounding);
double add_rounded(double a, double b, Rounding rounding);
float mul_rounded(float a, float b, Rounding rounding);
double mul_rounded(double a, double b, Rounding rounding);
float fma_rounded(float a, float b, float c, Rounding rounding);
double fma_rounded(double a, double b, double c, Rounding rounding);
float div_rounded(float a, float b, Rounding rounding);
double div_rounded(double a, double b, Rounding rounding);
float sqrt_rounded(float a, Rounding rounding);
double sqrt_rounded(double a, Rounding rounding);

}  // namespace assay::virtual_gpu
