#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "tests/virtual_programs/host.h"

namespace assay::virtual_programs {
namespace {

using virtual_gpu::oracle::kDirected;
namespace oracle = virtual_gpu::oracle;

/// The value of an operand, exactly.
long double value(float x) { return x; }
long double value(double x) { return x; }
long double value(F16 x) {
  const long double magnitude = (x.bits & 0x7fff) > 0x7c00 ? std::numeric_limits<float>::quiet_NaN()
                                : (x.bits & 0x7fff) == 0x7c00
                                    ? std::numeric_limits<float>::infinity()
                                    : oracle::f16().values()[x.bits & 0x7fff];
  return (x.bits & 0x8000) != 0 ? -magnitude : magnitude;
}
long double value(BF16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }

long double integral(long double x, Rounding rounding) {
  switch (rounding) {
    case Rounding::rz:
      return std::trunc(x);
    case Rounding::rm:
      return std::floor(x);
    case Rounding::rp:
      return std::ceil(x);
    default:
      return std::nearbyint(x);
  }
}

template <typename To>
To clamped(long double whole) {
  using Limits = std::numeric_limits<To>;
  if (whole < static_cast<long double>(Limits::min())) return Limits::min();
  if (whole > static_cast<long double>(Limits::max())) return Limits::max();
  return static_cast<To>(whole);
}

template <typename To, typename From>
void add_to_integer(Table& table) {
  for (const Rounding rounding : kDirected) {
    const std::string text =
        fmt::format("cvt.{}i.{}.{}", name(rounding), type_name<To>(), type_name<From>());
    table.add(text, text + " %d, %a;", [rounding](From x) {
      const long double exactly = value(x);
      if (std::isnan(exactly)) {
        const bool zero = !std::is_same_v<From, double> && sizeof(To) < 8;
        return zero ? To{0} : static_cast<To>(uint64_t{1} << (8 * sizeof(To) - 1));
      }
      return clamped<To>(integral(exactly, rounding));
    });
  }
}

template <typename From>
void add_to_integers(Table& table) {
  add_to_integer<int8_t, From>(table);
  add_to_integer<uint8_t, From>(table);
  add_to_integer<int16_t, From>(table);
  add_to_integer<uint16_t, From>(table);
  add_to_integer<int32_t, From>(table);
  add_to_integer<uint32_t, From>(table);
  add_to_integer<int64_t, From>(table);
  add_to_integer<uint64_t, From>(table);
}

/// `x` to a floating-point type in the given rounding.
template <typename To>
To rounded(long double x, Rounding rounding) {
  if constexpr (std::is_floating_point_v<To>) {
    oracle::HostRounding host(rounding);
    return oracle::pinned(static_cast<To>(oracle::pinned(x)));
  } else {
    if (std::isnan(x)) return {0x7fff};
    const oracle::Table& table = std::is_same_v<To, F16> ? oracle::f16() : oracle::bf16();
    return {static_cast<uint16_t>(table.magnitude_code(x, rounding) |
                                  (std::signbit(x) ? 0x8000u : 0u))};
  }
}

template <typename To, typename From>
void add_from_integer(Table& table) {
  for (const Rounding rounding : kDirected) {
    const std::string text =
        fmt::format("cvt.{}.{}.{}", name(rounding), type_name<To>(), type_name<From>());
    table.add(text, text + " %d, %a;",
              [rounding](From x) { return rounded<To>(static_cast<long double>(x), rounding); });
  }
}

template <typename To>
void add_from_integers(Table& table) {
  add_from_integer<To, int8_t>(table);
  add_from_integer<To, uint8_t>(table);
  add_from_integer<To, int16_t>(table);
  add_from_integer<To, uint16_t>(table);
  add_from_integer<To, int32_t>(table);
  add_from_integer<To, uint32_t>(table);
  add_from_integer<To, int64_t>(table);
  add_from_integer<To, uint64_t>(table);
}

template <typename To, typename From>
void add_narrowing(Table& table) {
  for (const Rounding rounding : kDirected) {
    const std::string text =
        fmt::format("cvt.{}.{}.{}", name(rounding), type_name<To>(), type_name<From>());
    // A NaN of f64 keeps its sign and the upper part of its payload.
    table.add(
        text, text + " %d, %a;", [rounding](From x) { return rounded<To>(value(x), rounding); },
        std::is_same_v<From, double> ? kAnyNan : Check{});
  }
}

template <typename To, typename From>
void add_widening(Table& table) {
  const std::string text = fmt::format("cvt.{}.{}", type_name<To>(), type_name<From>());
  table.add(
      text, text + " %d, %a;", [](From x) { return static_cast<To>(value(x)); }, kAnyNan);
}

template <typename T>
void add_to_integral(Table& table) {
  for (const Rounding rounding : kDirected) {
    const std::string text =
        fmt::format("cvt.{}i.{}.{}", name(rounding), type_name<T>(), type_name<T>());
    table.add(
        text, text + " %d, %a;",
        [rounding](T x) { return rounded<T>(integral(value(x), rounding), Rounding::rn); },
        kAnyNan);
  }
}

template <typename To, typename From>
void add_between_integers(Table& table) {
  const std::string types = type_name<To>() + "." + type_name<From>();
  table.add("cvt." + types, "cvt." + types + " %d, %a;", [](From x) { return static_cast<To>(x); });
  if (std::in_range<To>(std::numeric_limits<From>::min()) &&
      std::in_range<To>(std::numeric_limits<From>::max())) {
    return;  // PTX has .sat only where it can make a difference
  }
  table.add("cvt.sat." + types, "cvt.sat." + types + " %d, %a;",
            [](From x) { return clamped<To>(static_cast<long double>(x)); });
}

/// Two floats into one register; the first operand lands in the upper half.
template <typename Code>
void add_packing(Table& table, const std::string& text, int bits, Code code) {
  table.add(text, text + " %d, %a, %b;", [=](float a, float b) {
    const uint32_t upper = code(a), lower = code(b);
    return upper << bits | lower;
  });
}

uint32_t code_in(const oracle::Table& table, float x, Rounding rounding, bool satfinite, bool relu,
                 uint32_t sign, uint32_t nan) {
  if (std::isnan(x)) return nan;
  if (relu && std::signbit(x)) return 0;
  return table.magnitude_code(x, rounding, satfinite) | (std::signbit(x) ? sign : 0);
}

void add_packed(Table& table) {
  for (const Rounding rounding : {Rounding::rn, Rounding::rz}) {
    for (const bool relu : {false, true}) {
      const std::string middle = fmt::format("cvt.{}{}", name(rounding), relu ? ".relu" : "");
      add_packing(table, middle + ".f16x2.f32", 16, [=](float x) {
        return code_in(oracle::f16(), x, rounding, false, relu, 0x8000, 0x7fff);
      });
      add_packing(table, middle + ".bf16x2.f32", 16, [=](float x) {
        return code_in(oracle::bf16(), x, rounding, false, relu, 0x8000, 0x7fff);
      });
    }
  }
  for (const bool relu : {false, true}) {
    const std::string tail = relu ? ".relu" : "";
    const auto fp8 = [&](const std::string& type, const oracle::Table& format) {
      const auto* const values = &format;
      const auto code = [=](float x) {
        return code_in(*values, x, Rounding::rn, true, relu, 0x80, 0x7f);
      };
      const std::string from_f32 = "cvt.rn.satfinite" + tail + "." + type + "x2.f32";
      table.add(from_f32, from_f32 + " %d, %a, %b;",
                [=](float a, float b) { return static_cast<uint16_t>(code(a) << 8 | code(b)); });
      const std::string from_f16 = "cvt.rn.satfinite" + tail + "." + type + "x2.f16x2";
      table.add(from_f16, from_f16 + " %d, %a;", [=](Pair<F16> a) {
        return static_cast<uint16_t>(code(static_cast<float>(value(a.high))) << 8 |
                                     code(static_cast<float>(value(a.low))));
      });
      const std::string to_f16 = "cvt.rn" + tail + ".f16x2." + type + "x2";
      table.add(to_f16, to_f16 + " %d, %a;", [=](uint16_t x) {
        const auto widened = [&](uint32_t byte) -> uint32_t {
          const uint32_t magnitude = byte & 0x7f;
          const auto finite = static_cast<uint32_t>(values->values().size());
          if (magnitude > finite || (finite == 0x7f && magnitude == 0x7f)) return 0x7fff;
          if (relu && (byte & 0x80) != 0) return 0;
          const uint32_t sign = (byte & 0x80) << 8;
          if (magnitude == finite) return sign | 0x7c00;
          return sign | oracle::f16().magnitude_code(values->values()[magnitude], Rounding::rn);
        };
        return widened(x >> 8) << 16 | widened(x & 0xff);
      });
    };
    fp8("e4m3", oracle::e4m3());
    fp8("e5m2", oracle::e5m2());
  }
}

void add_tf32(Table& table) {
  const auto expect = [](Rounding rounding, bool relu, bool satfinite) {
    return [=](float x) {
      if (std::isnan(x)) return x;
      return std::bit_cast<float>(code_in(oracle::tf32(), x, rounding, satfinite, relu, 1u << 18, 0)
                                  << 13);
    };
  };
  table.add("cvt.rna.tf32.f32", "cvt.rna.tf32.f32 %d, %a;", expect(Rounding::rna, false, false),
            kAnyNan);
  table.add("cvt.rn.tf32.f32", "cvt.rn.tf32.f32 %d, %a;", expect(Rounding::rn, false, false),
            kAnyNan);
  table.add("cvt.rz.tf32.f32", "cvt.rz.tf32.f32 %d, %a;", expect(Rounding::rz, false, false),
            kAnyNan);
  table.add("cvt.rn.relu.tf32.f32", "cvt.rn.relu.tf32.f32 %d, %a;",
            expect(Rounding::rn, true, false), kAnyNan);
  table.add("cvt.rna.satfinite.tf32.f32", "cvt.rna.satfinite.tf32.f32 %d, %a;",
            expect(Rounding::rna, false, true), kAnyNan);
}

void add_saturating(Table& table) {
  table.add("cvt.rn.sat.f16.f32", "cvt.rn.sat.f16.f32 %d, %a;",
            [](float x) { return rounded<F16>(saturated(x), Rounding::rn); });
  table.add("cvt.rn.sat.f32.f64", "cvt.rn.sat.f32.f64 %d, %a;",
            [](double x) { return static_cast<float>(saturated(x)); });
  table.add("cvt.sat.f32.f32", "cvt.sat.f32.f32 %d, %a;", [](float x) { return saturated(x); });
  table.add("cvt.rn.sat.f32.s32", "cvt.rn.sat.f32.s32 %d, %a;",
            [](int32_t x) { return x > 0 ? 1.0f : 0.0f; });
  table.add(
      "cvt.ftz.f64.f32", "cvt.ftz.f64.f32 %d, %a;", [](float x) { return double{flushed(x)}; },
      kAnyNan);
  table.add(
      "cvt.rn.ftz.f32.f64", "cvt.rn.ftz.f32.f64 %d, %a;",
      [](double x) { return flushed(static_cast<float>(x)); }, kAnyNan);
  table.add("cvt.rpi.ftz.s32.f32", "cvt.rpi.ftz.s32.f32 %d, %a;",
            [](float x) { return std::isnan(x) ? 0 : clamped<int32_t>(std::ceil(flushed(x))); });
  table.add("cvt.rn.relu.f16.f32", "cvt.rn.relu.f16.f32 %d, %a;", [](float x) {
    return static_cast<uint16_t>(
        code_in(oracle::f16(), x, Rounding::rn, false, true, 0x8000, 0x7fff));
  });
  table.add("cvt.rn.relu.bf16.f32", "cvt.rn.relu.bf16.f32 %d, %a;", [](float x) {
    return static_cast<uint16_t>(
        code_in(oracle::bf16(), x, Rounding::rn, false, true, 0x8000, 0x7fff));
  });
}

void add_integer_packing(Table& table) {
  const auto narrow = [](int32_t x, int bits, bool is_signed) {
    const int64_t least = is_signed ? -(int64_t{1} << (bits - 1)) : 0;
    const int64_t most = (int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
    const int64_t limited = std::min(std::max(int64_t{x}, least), most);
    return static_cast<uint32_t>(limited) & ((1u << bits) - 1);
  };
  for (const bool is_signed : {false, true}) {
    const char letter = is_signed ? 's' : 'u';
    table.add(fmt::format("cvt.pack.sat.{}16.s32", letter),
              fmt::format("cvt.pack.sat.{}16.s32 %d, %a, %b;", letter), [=](int32_t a, int32_t b) {
                return narrow(a, 16, is_signed) << 16 | narrow(b, 16, is_signed);
              });
    for (const int bits : {8, 4, 2}) {
      table.add(fmt::format("cvt.pack.sat.{}{}.s32.b32", letter, bits),
                fmt::format("cvt.pack.sat.{}{}.s32.b32 %d, %a, %b, %c;", letter, bits),
                [=](int32_t a, int32_t b, uint32_t c) {
                  return c << (2 * bits) | narrow(a, bits, is_signed) << bits |
                         narrow(b, bits, is_signed);
                });
    }
  }
}

}  // namespace

void add_convert_programs(Table& table) {
  add_to_integers<float>(table);
  add_to_integers<double>(table);
  add_to_integers<F16>(table);
  add_to_integer<int32_t, BF16>(table);
  add_to_integer<uint16_t, BF16>(table);
  add_to_integer<int64_t, BF16>(table);
  add_from_integers<float>(table);
  add_from_integers<double>(table);
  add_from_integers<F16>(table);
  add_from_integer<BF16, int32_t>(table);
  add_from_integer<BF16, uint64_t>(table);
  add_from_integer<BF16, int16_t>(table);
  add_narrowing<F16, float>(table);
  add_narrowing<BF16, float>(table);
  add_narrowing<F16, double>(table);
  add_narrowing<BF16, double>(table);
  add_narrowing<float, double>(table);
  add_narrowing<BF16, F16>(table);
  add_narrowing<F16, BF16>(table);
  add_widening<float, F16>(table);
  add_widening<float, BF16>(table);
  add_widening<double, F16>(table);
  add_widening<double, BF16>(table);
  add_widening<double, float>(table);
  add_to_integral<float>(table);
  add_to_integral<double>(table);
  add_to_integral<F16>(table);
  add_between_integers<int8_t, int32_t>(table);
  add_between_integers<uint8_t, int32_t>(table);
  add_between_integers<uint16_t, int64_t>(table);
  add_between_integers<int16_t, uint32_t>(table);
  add_between_integers<int32_t, uint32_t>(table);
  add_between_integers<uint32_t, int8_t>(table);
  add_between_integers<int64_t, int16_t>(table);
  add_between_integers<uint64_t, int32_t>(table);
  add_between_integers<int64_t, uint64_t>(table);
  add_packed(table);
  add_tf32(table);
  add_saturating(table);
  add_integer_packing(table);
}

}  // namespace assay::virtual_programs
