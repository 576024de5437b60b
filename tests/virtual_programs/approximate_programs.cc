#include <cmath>
#include <numbers>

#include "tests/virtual_programs/host.h"

namespace assay::virtual_programs {

/// An angle in [-pi, pi], where sine and cosine are specified.
struct Angle {
  float value;
};
template <>
struct Operand<Angle> {
  static constexpr int bits = 32;
  static uint64_t draw(Draw& draw) {
    const double fraction = static_cast<double>(draw.below(1 << 24)) / (1 << 23) - 1;
    return virtual_gpu::to_register(static_cast<float>(fraction * std::numbers::pi));
  }
  static Angle decode(uint64_t value) { return {virtual_gpu::from_register<float>(value)}; }
};

namespace {

constexpr Check ulps(double bound, double absolute = 0) {
  return {Check::Kind::ulps, bound, absolute};
}

/// The rows with and without .ftz. Bounds are those of PTX's manual (relative ones as ulps, rounded
/// up), plus one for the expectation's own rounding.
template <typename Function>
void add_function(Table& table, const std::string& op, Check check, Function function) {
  table.add(
      op + ".f32", op + ".f32 %d, %a;",
      [=](float x) { return static_cast<float>(function(static_cast<double>(x))); }, check);
  table.add(
      op + ".ftz.f32", op + ".ftz.f32 %d, %a;",
      [=](float x) {
        return flushed(static_cast<float>(function(static_cast<double>(flushed(x)))));
      },
      check);
}

}  // namespace

void add_approximate_programs(Table& table) {
  const double smallest = 0x1p-126;
  add_function(table, "ex2.approx", ulps(3, smallest * 0x1p-20),
               [](double x) { return std::exp2(x); });
  add_function(table, "lg2.approx", ulps(5, 0x1p-22), [](double x) { return std::log2(x); });
  add_function(table, "rcp.approx", ulps(2), [](double x) { return 1 / x; });
  add_function(table, "sqrt.approx", ulps(3), [](double x) { return std::sqrt(x); });
  add_function(table, "rsqrt.approx", ulps(3), [](double x) { return 1 / std::sqrt(x); });
  for (const bool ftz : {false, true}) {
    const std::string suffix = ftz ? ".approx.ftz.f32" : ".approx.f32";
    table.add(
        "sin" + suffix, "sin" + suffix + " %d, %a;", [](Angle x) { return std::sin(x.value); },
        ulps(1, 0x1p-20));
    table.add(
        "cos" + suffix, "cos" + suffix + " %d, %a;", [](Angle x) { return std::cos(x.value); },
        ulps(1, 0x1p-20));
  }
  table.add(
      "tanh.approx.f32", "tanh.approx.f32 %d, %a;", [](float x) { return std::tanh(x); },
      ulps(8193));
  const auto quotient = [](float a, float b) {
    const bool huge = std::fabs(b) > 0x1p126f && std::isfinite(b);
    return huge ? a * std::copysign(0.0f, b) : a / b;
  };
  // A result near the subnormal range may be flushed even without .ftz.
  table.add("div.approx.f32", "div.approx.f32 %d, %a, %b;", quotient, ulps(3));
  table.add(
      "div.approx.ftz.f32", "div.approx.ftz.f32 %d, %a, %b;",
      [=](float a, float b) { return flushed(quotient(flushed(a), flushed(b))); },
      ulps(3, smallest));
  table.add(
      "div.full.f32", "div.full.f32 %d, %a, %b;", [](float a, float b) { return a / b; }, ulps(3));
  table.add(
      "div.full.ftz.f32", "div.full.ftz.f32 %d, %a, %b;",
      [](float a, float b) { return flushed(flushed(a) / flushed(b)); }, ulps(3, smallest));

  const auto upper = [](double x) {
    return std::bit_cast<double>(std::bit_cast<uint64_t>(x) & 0xffffffff00000000u);
  };
  const auto flushed64 = [](double x) {
    return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0, x) : x;
  };
  // Two units of the twentieth mantissa bit.
  const Check gross = ulps(0x1p33);
  table.add(
      "rcp.approx.ftz.f64", "rcp.approx.ftz.f64 %d, %a;",
      [=](double x) { return flushed64(1 / flushed64(upper(x))); }, gross);
  table.add(
      "rsqrt.approx.ftz.f64", "rsqrt.approx.ftz.f64 %d, %a;",
      [=](double x) { return flushed64(1 / std::sqrt(flushed64(upper(x)))); }, gross);
  table.add(
      "rsqrt.approx.f64", "rsqrt.approx.f64 %d, %a;", [](double x) { return 1 / std::sqrt(x); },
      ulps(0x1p33));

  const auto half = [](double x) {
    if (std::isnan(x)) return F16{0x7fff};
    return F16{static_cast<uint16_t>(virtual_gpu::oracle::f16().magnitude_code(x, Rounding::rn) |
                                     (std::signbit(x) ? 0x8000 : 0))};
  };
  const auto bfloat = [](double x) {
    if (std::isnan(x)) return BF16{0x7fff};
    return BF16{static_cast<uint16_t>(virtual_gpu::oracle::bf16().magnitude_code(x, Rounding::rn) |
                                      (std::signbit(x) ? 0x8000 : 0))};
  };
  const auto wide = [](BF16 x) {
    return static_cast<double>(flushed(std::bit_cast<float>(uint32_t{x.bits} << 16)));
  };
  table.add(
      "ex2.approx.f16", "ex2.approx.f16 %d, %a;",
      [=](F16 x) { return half(std::exp2(double{virtual_gpu::to_f32(x)})); }, ulps(2));
  table.add(
      "tanh.approx.f16", "tanh.approx.f16 %d, %a;",
      [=](F16 x) { return half(std::tanh(double{virtual_gpu::to_f32(x)})); }, ulps(2, 0x1p-10));
  table.add(
      "ex2.approx.ftz.bf16", "ex2.approx.ftz.bf16 %d, %a;",
      [=](BF16 x) { return bfloat(std::exp2(wide(x))); }, ulps(2, smallest));
  table.add(
      "tanh.approx.bf16", "tanh.approx.bf16 %d, %a;",
      [=](BF16 x) { return bfloat(std::tanh(double{virtual_gpu::to_f32(x)})); }, ulps(2));
}

}  // namespace assay::virtual_programs
