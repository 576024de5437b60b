#include <fmt/format.h>

#include <cmath>

#include "tests/virtual_programs/host.h"

namespace assay::virtual_programs {
namespace {

using virtual_gpu::oracle::kDirected;

template <typename T>
Check nan_check() {
  // f64 results may carry another NaN than the host's.
  return std::is_same_v<T, double> ? kAnyNan : Check{};
}

template <typename T>
void add_rounded_operations(Table& table) {
  const std::string type = type_name<T>();
  const Check check = nan_check<T>();
  for (const Rounding rounding : kDirected) {
    const std::string r = name(rounding);
    const auto binary = [&](const std::string& op, auto operation) {
      auto rounded = in_rounding(rounding, operation);
      table.add(
          fmt::format("{}.{}.{}", op, r, type), fmt::format("{}.{}.{} %d, %a, %b;", op, r, type),
          [rounded](T a, T b) { return rounded(a, b); }, check);
    };
    binary("add", [](T a, T b) { return a + b; });
    binary("sub", [](T a, T b) { return a - b; });
    binary("mul", [](T a, T b) { return a * b; });
    binary("div", [](T a, T b) { return a / b; });
    auto fused = in_rounding(rounding, [](T a, T b, T c) { return std::fma(a, b, c); });
    for (const char* const op : {"fma", "mad"}) {
      table.add(
          fmt::format("{}.{}.{}", op, r, type),
          fmt::format("{}.{}.{} %d, %a, %b, %c;", op, r, type),
          [fused](T a, T b, T c) { return fused(a, b, c); }, check);
    }
    auto root = in_rounding(rounding, [](T a) { return std::sqrt(a); });
    table.add(
        fmt::format("sqrt.{}.{}", r, type), fmt::format("sqrt.{}.{} %d, %a;", r, type),
        [root](T a) { return root(a); }, check);
    auto reciprocal = in_rounding(rounding, [](T a) { return T{1} / a; });
    table.add(
        fmt::format("rcp.{}.{}", r, type), fmt::format("rcp.{}.{} %d, %a;", r, type),
        [reciprocal](T a) { return reciprocal(a); }, check);
  }
}

/// What .ftz makes of a result: tiny is what is below 2^-126 when rounded with unbounded exponent.
/// `scaled` is the operation with its operands scaled so that the result is 2^40 times larger.
template <typename Scaled>
float flushed_result(float result, Scaled scaled) {
  if (std::fabs(result) == 0x1p-126f && std::fabs(scaled()) < 0x1p-86f) {
    return std::copysign(0.0f, result);
  }
  return flushed(result);
}

void add_flushed_operations(Table& table) {
  for (const Rounding rounding : kDirected) {
    const std::string r = name(rounding);
    const auto binary = [&](const std::string& op, auto operation) {
      auto rounded = in_rounding(rounding, operation);
      const float second = op == "add" || op == "sub" ? 0x1p40f : 1.0f;
      table.add(fmt::format("{}.{}.ftz.f32", op, r),
                fmt::format("{}.{}.ftz.f32 %d, %a, %b;", op, r), [=](float a, float b) {
                  const float x = flushed(a), y = flushed(b);
                  return flushed_result(rounded(x, y),
                                        [&] { return rounded(x * 0x1p40f, y * second); });
                });
      if (op == "div") return;
      table.add(fmt::format("{}.{}.sat.f32", op, r),
                fmt::format("{}.{}.sat.f32 %d, %a, %b;", op, r),
                [rounded](float a, float b) { return saturated(rounded(a, b)); });
    };
    binary("add", [](float a, float b) { return a + b; });
    binary("sub", [](float a, float b) { return a - b; });
    binary("mul", [](float a, float b) { return a * b; });
    binary("div", [](float a, float b) { return a / b; });
    auto fused = in_rounding(rounding, [](float a, float b, float c) { return std::fma(a, b, c); });
    const auto fused_flushed = [fused](float a, float b, float c) {
      const float x = flushed(a), y = flushed(b), z = flushed(c);
      return flushed_result(fused(x, y, z), [&] { return fused(x * 0x1p40f, y, z * 0x1p40f); });
    };
    table.add(fmt::format("fma.{}.ftz.f32", r), fmt::format("fma.{}.ftz.f32 %d, %a, %b, %c;", r),
              fused_flushed);
    table.add(fmt::format("fma.{}.ftz.sat.f32", r),
              fmt::format("fma.{}.ftz.sat.f32 %d, %a, %b, %c;", r),
              [=](float a, float b, float c) { return saturated(fused_flushed(a, b, c)); });
    // Products just below 2^-126 that round up to it, or not.
    auto product = in_rounding(rounding, [](float a, float b) { return a * b; });
    table.add(fmt::format("mul.{}.ftz.f32 near 2^-126", r),
              fmt::format("{{ .reg .b32 m; and.b32 m, %a, 0x8000000f; xor.b32 m, m, 0x3f7fffff; "
                          "mul.{}.ftz.f32 %d, m, 0f00800000; }}",
                          r),
              [product](uint32_t a) {
                const auto x = std::bit_cast<float>((a & 0x8000000fu) ^ 0x3f7fffffu);
                return flushed_result(product(x, 0x1p-126f),
                                      [&] { return product(x * 0x1p40f, 0x1p-126f); });
              });
    auto root = in_rounding(rounding, [](float a) { return std::sqrt(a); });
    table.add(fmt::format("sqrt.{}.ftz.f32", r), fmt::format("sqrt.{}.ftz.f32 %d, %a;", r),
              [root](float a) { return flushed(root(flushed(a))); });
    auto reciprocal = in_rounding(rounding, [](float a) { return 1.0f / a; });
    table.add(fmt::format("rcp.{}.ftz.f32", r), fmt::format("rcp.{}.ftz.f32 %d, %a;", r),
              [reciprocal](float a) { return flushed(reciprocal(flushed(a))); });
  }
}

/// PTX's minimum and maximum, spelled out.
template <typename T>
T extreme(bool maximum, bool nan, T a, T b) {
  const T not_a_number = std::numeric_limits<T>::quiet_NaN();
  if (nan && (std::isnan(a) || std::isnan(b))) return not_a_number;
  if (std::isnan(a)) return b;
  if (std::isnan(b)) return a;
  if (a == 0 && b == 0) return std::signbit(a) == maximum ? b : a;
  return (a < b) == maximum ? b : a;
}

template <typename T>
void add_extremes(Table& table) {
  const std::string type = type_name<T>();
  for (const bool maximum : {false, true}) {
    const std::string op = maximum ? "max" : "min";
    table.add(
        op + "." + type, fmt::format("{}.{} %d, %a, %b;", op, type),
        [=](T a, T b) { return extreme(maximum, false, a, b); }, nan_check<T>());
    if constexpr (std::is_same_v<T, float>) {
      table.add(op + ".ftz.f32", op + ".ftz.f32 %d, %a, %b;",
                [=](float a, float b) { return extreme(maximum, false, flushed(a), flushed(b)); });
      table.add(op + ".NaN.f32", op + ".NaN.f32 %d, %a, %b;",
                [=](float a, float b) { return extreme(maximum, true, a, b); });
      for (const bool nan : {false, true}) {
        const std::string text = op + (nan ? ".NaN" : "") + ".xorsign.abs.f32";
        table.add(text, text + " %d, %a, %b;", [=](float a, float b) {
          const float magnitude = extreme(maximum, nan, std::fabs(a), std::fabs(b));
          const bool negative = std::signbit(a) != std::signbit(b);
          return std::isnan(magnitude) ? magnitude : negative ? -magnitude : magnitude;
        });
      }
    }
  }
}

struct Comparison {
  const char* name;
  bool less, equal, greater, unordered;
};
constexpr Comparison kComparisons[] = {
    {"eq", false, true, false, false}, {"ne", true, false, true, false},
    {"lt", true, false, false, false}, {"le", true, true, false, false},
    {"gt", false, false, true, false}, {"ge", false, true, true, false},
    {"equ", false, true, false, true}, {"neu", true, false, true, true},
    {"ltu", true, false, false, true}, {"leu", true, true, false, true},
    {"gtu", false, false, true, true}, {"geu", false, true, true, true},
    {"num", true, true, true, false},  {"nan", false, false, false, true},
};

template <typename T>
bool compared(const Comparison& row, T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return row.unordered;
  return a < b ? row.less : a > b ? row.greater : row.equal;
}

template <typename T>
void add_comparisons(Table& table) {
  const std::string type = type_name<T>();
  for (const Comparison& row : kComparisons) {
    table.add(fmt::format("setp.{}.{}", row.name, type),
              fmt::format("{{ .reg .pred p; setp.{}.{} p, %a, %b; selp.u32 %d, 1, 0, p; }}",
                          row.name, type),
              [row](T a, T b) { return compared(row, a, b); });
    table.add(fmt::format("set.{}.u32.{}", row.name, type),
              fmt::format("set.{}.u32.{} %d, %a, %b;", row.name, type),
              [row](T a, T b) { return compared(row, a, b) ? 0xffffffffu : 0u; });
  }
  table.add("set.lt.f32." + type, fmt::format("set.lt.f32.{} %d, %a, %b;", type),
            [](T a, T b) { return a < b ? 1.0f : 0.0f; });
  table.add(
      "slct." + type + ".s32", fmt::format("slct.{}.s32 %d, %a, %b, %c;", type),
      [](T a, T b, int32_t c) { return c >= 0 ? a : b; }, kAnyNan);
}

template <typename T>
void add_signs_and_tests(Table& table) {
  const std::string type = type_name<T>();
  table.add(
      "neg." + type, fmt::format("neg.{} %d, %a;", type), [](T a) { return -a; }, kAnyNan);
  table.add(
      "abs." + type, fmt::format("abs.{} %d, %a;", type), [](T a) { return std::fabs(a); },
      kAnyNan);
  table.add(
      "copysign." + type, fmt::format("copysign.{} %d, %a, %b;", type),
      [](T a, T b) { return std::copysign(b, a); }, kAnyNan);
  const auto test = [&](const char* property, bool (*is)(T)) {
    table.add(
        fmt::format("testp.{}.{}", property, type),
        fmt::format("{{ .reg .pred p; testp.{}.{} p, %a; selp.u32 %d, 1, 0, p; }}", property, type),
        [is](T a) { return is(a); });
  };
  test("finite", [](T a) { return bool{std::isfinite(a)}; });
  test("infinite", [](T a) { return bool{std::isinf(a)}; });
  test("number", [](T a) { return !std::isnan(a); });
  test("notanumber", [](T a) { return bool{std::isnan(a)}; });
  test("normal", [](T a) { return std::isnormal(a) || a == 0; });
  test("subnormal", [](T a) { return std::fpclassify(a) == FP_SUBNORMAL; });
}

}  // namespace

void add_float_programs(Table& table) {
  add_rounded_operations<float>(table);
  add_rounded_operations<double>(table);
  add_flushed_operations(table);
  add_extremes<float>(table);
  add_extremes<double>(table);
  add_comparisons<float>(table);
  add_comparisons<double>(table);
  add_signs_and_tests<float>(table);
  add_signs_and_tests<double>(table);
  table.add("setp.eq.ftz.f32", "{ .reg .pred p; setp.eq.ftz.f32 p, %a, %b; selp.u32 %d, 1, 0, p; }",
            [](float a, float b) { return flushed(a) == flushed(b); });
  table.add("setp.lt.and.f32",
            "{ .reg .pred p, q, r; setp.ne.s32 q, %c, 0; setp.lt.and.f32 p|r, %a, %b, q; "
            "selp.u32 %d, 1, 0, p; @r add.u32 %d, %d, 2; }",
            [](float a, float b, int32_t c) {
              return (a < b && c != 0 ? 1u : 0u) + (!(a < b) && c != 0 ? 2u : 0u);
            });
  table.add(
      "abs.ftz.f32", "abs.ftz.f32 %d, %a;", [](float a) { return std::fabs(flushed(a)); }, kAnyNan);
  table.add(
      "neg.ftz.f32", "neg.ftz.f32 %d, %a;", [](float a) { return -flushed(a); }, kAnyNan);
}

}  // namespace assay::virtual_programs
