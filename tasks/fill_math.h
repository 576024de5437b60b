// Logarithm, exponential, sine and cosine with the same bits on every machine.
//
// Only + - * / and square roots of doubles are used: IEEE 754 defines their results exactly, so
// CPUs and GPUs agree, provided no compiler contracts a * b + c into one rounding (host files are
// compiled with -ffp-contract=off, device code with -fmad=false). Coefficients are those of the
// Taylor series after range reduction. Errors against the exact functions, measured in
// tests/tasks/fill_math_test.cc: below 2 units in the last place, sine and cosine below 2e-16.
#pragma once

#include "tasks/element.h"

#ifdef __FAST_MATH__
#error "fills need IEEE arithmetic: compile without -ffast-math"
#endif

namespace assay::fill_math {

ASSAY_HOST_DEVICE inline double square_root(double x) {
#ifdef __CUDA_ARCH__
  return __dsqrt_rn(x);
#else
  return __builtin_sqrt(x);
#endif
}

/// The largest integer not above x, for |x| < 2^62.
ASSAY_HOST_DEVICE inline double floor_of(double x) {
  const double truncated = static_cast<double>(static_cast<long long>(x));
  return truncated > x ? truncated - 1 : truncated;
}

/// The natural logarithm of a positive normal number.
ASSAY_HOST_DEVICE inline double log_of(double x) {
  const uint64_t bits = element::bits_of(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = element::double_of((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent += 1;
  }
  // log m = 2 atanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...), |s| <= 0.1716
  const double f = m - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  double tail = 1.0 / 25;
  tail = tail * z + 1.0 / 23;
  tail = tail * z + 1.0 / 21;
  tail = tail * z + 1.0 / 19;
  tail = tail * z + 1.0 / 17;
  tail = tail * z + 1.0 / 15;
  tail = tail * z + 1.0 / 13;
  tail = tail * z + 1.0 / 11;
  tail = tail * z + 1.0 / 9;
  tail = tail * z + 1.0 / 7;
  tail = tail * z + 1.0 / 5;
  tail = tail * z + 1.0 / 3;
  // 2 s = f - s f holds exactly, and f is exact: the sum below keeps the rounding error of s small.
  const double e = static_cast<double>(exponent);
  const double rest = s * (f - 2 * z * tail);
  return e * 0.69314718036912382 + (f - (rest - e * 1.9082149292705877e-10));
}

/// e^x; 0 below -708, infinity above 709.
ASSAY_HOST_DEVICE inline double exp_of(double x) {
  if (x < -708) return 0;
  if (x > 709) return element::double_of(0x7ff0000000000000ull);
  const double k = floor_of(x * 1.4426950408889634 + 0.5);
  const double r = (x - k * 0.69314718036912382) - k * 1.9082149292705877e-10;
  // sum of r^n / n!, |r| <= 0.347
  double sum = 1 + r * (1.0 / 14);
  sum = 1 + sum * r * (1.0 / 13);
  sum = 1 + sum * r * (1.0 / 12);
  sum = 1 + sum * r * (1.0 / 11);
  sum = 1 + sum * r * (1.0 / 10);
  sum = 1 + sum * r * (1.0 / 9);
  sum = 1 + sum * r * (1.0 / 8);
  sum = 1 + sum * r * (1.0 / 7);
  sum = 1 + sum * r * (1.0 / 6);
  sum = 1 + sum * r * (1.0 / 5);
  sum = 1 + sum * r * (1.0 / 4);
  sum = 1 + sum * r * (1.0 / 3);
  sum = 1 + sum * r * (1.0 / 2);
  return (1 + sum * r) * element::power_of_two(static_cast<int>(k));
}

/// x^y for positive x.
ASSAY_HOST_DEVICE inline double power_of(double x, double y) { return exp_of(y * log_of(x)); }

struct SinCos {
  double sin;
  double cos;
};

/// Sine and cosine of the angle 2 pi turn / 2^32.
ASSAY_HOST_DEVICE inline SinCos sin_cos_of_turn(uint32_t turn) {
  // Quarter turns are taken off exactly: the rest is within [-pi/4, pi/4).
  const uint32_t quadrant = (turn + 0x20000000u) >> 30;
  const int32_t rest = static_cast<int32_t>(turn - (quadrant << 30));
  const double x = rest * 1.4629180792671596e-9;  // 2 pi / 2^32
  const double z = x * x;
  double sine = 1 - z * (1.0 / 272);  // 16 * 17, then 14 * 15, ...
  sine = 1 - sine * z * (1.0 / 210);
  sine = 1 - sine * z * (1.0 / 156);
  sine = 1 - sine * z * (1.0 / 110);
  sine = 1 - sine * z * (1.0 / 72);
  sine = 1 - sine * z * (1.0 / 42);
  sine = 1 - sine * z * (1.0 / 20);
  sine = 1 - sine * z * (1.0 / 6);
  sine *= x;
  double cosine = 1 - z * (1.0 / 306);  // 17 * 18, then 15 * 16, ...
  cosine = 1 - cosine * z * (1.0 / 240);
  cosine = 1 - cosine * z * (1.0 / 182);
  cosine = 1 - cosine * z * (1.0 / 132);
  cosine = 1 - cosine * z * (1.0 / 90);
  cosine = 1 - cosine * z * (1.0 / 56);
  cosine = 1 - cosine * z * (1.0 / 30);
  cosine = 1 - cosine * z * (1.0 / 12);
  cosine = 1 - cosine * z * (1.0 / 2);
  switch (quadrant & 3) {
    case 0:
      return SinCos{sine, cosine};
    case 1:
      return SinCos{cosine, -sine};
    case 2:
      return SinCos{-sine, -cosine};
    default:
      return SinCos{-cosine, sine};
  }
}

}  // namespace assay::fill_math
