#include "evaluator/device/virtual/arithmetic_approximate.h"

#include <cmath>
#include <limits>

#include "evaluator/device/virtual/arithmetic_convert.h"
#include "evaluator/device/virtual/arithmetic_float.h"

namespace assay::virtual_gpu {
namespace {

/// Each f32 function is computed in double, whose library error is below 2^-51, and rounded once.
template <typename Function>
float approximate(float x, bool ftz, Function function) {
  const double operand = detail::flushed(x, ftz);
  return detail::finished(static_cast<float>(function(operand)), FloatMode{.ftz = ftz});
}

/// The upper 32 bits of a double, rounded to nearest from what is below.
double upper_word(double x) {
  if (!std::isfinite(x)) return x;
  const auto bits = std::bit_cast<uint64_t>(x);
  return std::bit_cast<double>((bits + 0x7fffffffu + (bits >> 32 & 1)) & 0xffffffff00000000u);
}

/// The operand of the gross f64 approximations: the upper word only, subnormal numbers as zero.
double upper_operand(double x) {
  const auto bits = std::bit_cast<uint64_t>(x);
  if (x != x) return x;
  if ((bits & 0x7ff0000000000000u) == 0) return std::copysign(0.0, x);
  return std::bit_cast<double>(bits & 0xffffffff00000000u);
}

double upper_result(double x) {
  if (x != x) return std::bit_cast<double>(0x7fffffff00000000u);
  if (std::fabs(x) < std::numeric_limits<double>::min()) return std::copysign(0.0, x);
  return upper_word(x);
}

BF16 flush_bf16(BF16 x) {
  if ((x.bits & 0x7f80u) == 0) x.bits = static_cast<uint16_t>(x.bits & 0x8000u);
  return x;
}

}  // namespace

float ex2_approx(float x, bool ftz) {
  return approximate(x, ftz, [](double a) { return std::exp2(a); });
}
float lg2_approx(float x, bool ftz) {
  return approximate(x, ftz, [](double a) { return std::log2(a); });
}
float sin_approx(float x, bool ftz) {
  return approximate(x, ftz, [](double a) { return std::sin(a); });
}
float cos_approx(float x, bool ftz) {
  return approximate(x, ftz, [](double a) { return std::cos(a); });
}
float tanh_approx(float x) {
  return approximate(x, false, [](double a) { return std::tanh(a); });
}
float rcp_approx(float x, bool ftz) {
  return approximate(x, ftz, [](double a) { return 1.0 / a; });
}
float sqrt_approx(float x, bool ftz) {
  return approximate(x, ftz, [](double a) { return std::sqrt(a); });
}
float rsqrt_approx(float x, bool ftz) {
  return approximate(x, ftz, [](double a) { return 1.0 / std::sqrt(a); });
}

float div_approx(float a, float b, bool ftz) {
  if (ftz) {
    a = flush(a);
    b = flush(b);
  }
  // The divisor's reciprocal is subnormal and counts as zero.
  const float magnitude = std::fabs(b);
  if (magnitude > 0x1p126f && magnitude <= std::numeric_limits<float>::max()) {
    return mul(a, std::copysign(0.0f, b), FloatMode{.ftz = ftz});
  }
  return div(a, b, FloatMode{.ftz = ftz});
}

float div_full(float a, float b, bool ftz) { return div(a, b, FloatMode{.ftz = ftz}); }

double rcp_approx(double x) { return upper_result(1.0 / upper_operand(x)); }

double rsqrt_approx(double x, bool ftz) {
  return ftz ? upper_result(1.0 / std::sqrt(upper_operand(x))) : 1.0 / std::sqrt(x);
}

F16 ex2_approx(F16 x) { return nearest_f16(std::exp2(detail::widen(x))); }
BF16 ex2_approx(BF16 x) {
  return flush_bf16(nearest_bf16(std::exp2(detail::widen(flush_bf16(x)))));
}
F16 tanh_approx(F16 x) { return nearest_f16(std::tanh(detail::widen(x))); }
BF16 tanh_approx(BF16 x) { return nearest_bf16(std::tanh(detail::widen(x))); }

}  // namespace assay::virtual_gpu
