#include <gtest/gtest.h>

#include "tests/virtual_arithmetic/oracle.h"

namespace assay::virtual_gpu {
namespace {

using oracle::HostRounding;
using oracle::kDirected;
using oracle::Table;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Widening, DecodesEveryF16) {
  for (uint32_t code = 0; code <= 0xffff; ++code) {
    const float got = to_f32(F16{static_cast<uint16_t>(code)});
    const uint32_t magnitude = code & 0x7fff;
    if (magnitude > 0x7c00) {
      ASSERT_EQ(std::bit_cast<uint32_t>(got), kNanF32) << code;
      continue;
    }
    const float want = magnitude == 0x7c00 ? std::numeric_limits<float>::infinity()
                                           : static_cast<float>(oracle::f16().values()[magnitude]);
    ASSERT_EQ(std::bit_cast<uint32_t>(got),
              std::bit_cast<uint32_t>((code & 0x8000) != 0 ? -want : want))
        << code;
    // The compiler's own half type as a second opinion.
    ASSERT_EQ(got, static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(code))));
  }
}

TEST(Widening, DecodesEveryBF16) {
  for (uint32_t code = 0; code <= 0xffff; ++code) {
    const float got = to_f32(BF16{static_cast<uint16_t>(code)});
    if ((code & 0x7fff) > 0x7f80) {
      ASSERT_EQ(std::bit_cast<uint32_t>(got), kNanF32);
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(got), code << 16);
    }
  }
}

TEST(Widening, DecodesEveryFp8) {
  for (uint32_t code = 0; code <= 0xff; ++code) {
    const uint32_t magnitude = code & 0x7f;
    const float sign = (code & 0x80) != 0 ? -1.0f : 1.0f;
    const float e4m3 = to_f32(E4M3{static_cast<uint8_t>(code)});
    const float e5m2 = to_f32(E5M2{static_cast<uint8_t>(code)});
    if (magnitude == 0x7f) {
      EXPECT_TRUE(std::isnan(e4m3));
    } else {
      EXPECT_EQ(e4m3, sign * static_cast<float>(oracle::e4m3().values()[magnitude]));
      EXPECT_EQ(std::signbit(e4m3), sign < 0);
    }
    if (magnitude > 0x7c) {
      EXPECT_TRUE(std::isnan(e5m2));
    } else if (magnitude == 0x7c) {
      EXPECT_EQ(e5m2, sign * std::numeric_limits<float>::infinity());
    } else {
      EXPECT_EQ(e5m2, sign * static_cast<float>(oracle::e5m2().values()[magnitude]));
    }
  }
  EXPECT_EQ(to_f32(E4M3{0x7e}), 448.0f);
  EXPECT_EQ(to_f32(E5M2{0x7b}), 57344.0f);
}

/// Every value of the format, every midpoint, and the neighbours of both, in all roundings.
template <typename To, typename From>
void expect_rounds_like_table(const Table& table, int shift, int sign_bit, bool satfinite) {
  const auto check = [&](From x) {
    for (const Rounding rounding :
         {Rounding::rn, Rounding::rz, Rounding::rm, Rounding::rp, Rounding::rna}) {
      const uint64_t got =
          to_register(convert<To>(x, {.rounding = rounding, .satfinite = satfinite})) >> shift;
      const uint64_t want = uint64_t{table.magnitude_code(x, rounding, satfinite)} |
                            uint64_t{std::signbit(x)} << sign_bit;
      ASSERT_EQ(got, want) << static_cast<double>(x) << " rounding " << static_cast<int>(rounding);
    }
  };
  const std::vector<long double>& values = table.values();
  const size_t stride = values.size() > 100000 ? 7 : 1;
  for (size_t i = 0; i < values.size(); i += stride) {
    const long double next =
        i + 1 < values.size() ? values[i + 1] : values[i] + (values[i] - values[i - 1]);
    const long double middle = (values[i] + next) / 2;
    for (const long double point : {values[i], middle}) {
      const From x = static_cast<From>(point);
      for (const From near :
           {x, std::nextafter(x, From(0)), std::nextafter(x, std::numeric_limits<From>::max())}) {
        check(near);
        check(-near);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
  for (const From x : oracle::interesting_values<From>(5000)) {
    if (x == x) check(x);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(Narrowing, RoundsF32ToF16AtEveryBoundary) {
  expect_rounds_like_table<F16, float>(oracle::f16(), 0, 15, false);
  expect_rounds_like_table<F16, float>(oracle::f16(), 0, 15, true);
}
TEST(Narrowing, RoundsF64ToF16AtEveryBoundary) {
  expect_rounds_like_table<F16, double>(oracle::f16(), 0, 15, false);
}
TEST(Narrowing, RoundsF32ToBF16AtEveryBoundary) {
  expect_rounds_like_table<BF16, float>(oracle::bf16(), 0, 15, false);
  expect_rounds_like_table<BF16, float>(oracle::bf16(), 0, 15, true);
}
TEST(Narrowing, RoundsF64ToBF16AtEveryBoundary) {
  expect_rounds_like_table<BF16, double>(oracle::bf16(), 0, 15, false);
}
TEST(Narrowing, RoundsF32ToTF32AtBoundaries) {
  expect_rounds_like_table<TF32, float>(oracle::tf32(), 13, 18, false);
}
TEST(Narrowing, RoundsF32ToFp8AtEveryBoundary) {
  expect_rounds_like_table<E4M3, float>(oracle::e4m3(), 0, 7, true);
  expect_rounds_like_table<E5M2, float>(oracle::e5m2(), 0, 7, true);
}

TEST(Narrowing, F64ToF32FollowsTheHostInEveryRounding) {
  for (const double value : oracle::interesting_values<double>(20000)) {
    // Also values near those of f32, where rounding matters.
    for (const double x : {value, double{static_cast<float>(value)} * (1 + 0x1p-25)}) {
      for (const Rounding rounding : kDirected) {
        volatile double operand = x;
        volatile float want = 0;
        {
          HostRounding host(rounding);
          want = static_cast<float>(operand);
        }
        const float expected = want;
        ASSERT_TRUE(oracle::same(convert<float>(x, {.rounding = rounding}), expected)) << x;
      }
    }
  }
}

TEST(Narrowing, AppliesSaturationReluAndFlush) {
  EXPECT_EQ(to_register(convert<F16>(kNan, {.sat = true})), 0u);
  EXPECT_EQ(to_register(convert<F16>(-2.0f, {.sat = true})), 0u);
  EXPECT_EQ(to_register(convert<F16>(2.0f, {.sat = true})), 0x3c00u);
  EXPECT_EQ(to_register(convert<F16>(std::numeric_limits<float>::infinity(), {.sat = true})),
            0x3c00u);
  EXPECT_EQ(to_register(convert<float>(1.5, {.sat = true})), std::bit_cast<uint32_t>(1.0f));
  EXPECT_EQ(to_register(convert<F16>(-1.0f, {.relu = true})), 0u);
  EXPECT_EQ(to_register(convert<BF16>(-1.0f, {.relu = true})), 0u);
  EXPECT_EQ(to_register(convert<BF16>(kNan, {.relu = true})), 0x7fffu);
  EXPECT_EQ(to_register(convert<F16>(kNan)), 0x7fffu);
  EXPECT_EQ(to_register(convert<E4M3>(kNan, {.satfinite = true})), 0x7fu);
  EXPECT_EQ(to_register(convert<E4M3>(-1e9f, {.satfinite = true})), 0xfeu);
  EXPECT_EQ(to_register(convert<E5M2>(std::numeric_limits<float>::infinity(), {.satfinite = true})),
            0x7bu);
  EXPECT_EQ(to_register(convert<TF32>(kNan)), 0x7fffe000u);
  EXPECT_EQ(
      to_register(convert<TF32>(std::bit_cast<float>(0xffc00000u), {.rounding = Rounding::rna})),
      0xffc00000u);
  EXPECT_EQ(convert<double>(0x1p-130f, {.ftz = true}), 0.0);
  EXPECT_EQ(convert<float>(0x1p-130, {.ftz = true}), 0.0f);
  EXPECT_TRUE(std::signbit(convert<float>(-0x1p-130, {.ftz = true})));
}

TEST(Narrowing, NansOfF64KeepSignAndUpperPayload) {
  const auto nan = std::bit_cast<double>(0xfff8048d00000001u);
  EXPECT_EQ(to_register(convert<float>(nan)), 0xffc02468u);
  EXPECT_EQ(to_register(convert<F16>(nan)), 0xfe01u);
  EXPECT_EQ(to_register(convert<BF16>(nan, {.rounding = Rounding::rz})), 0xffc0u);
  EXPECT_EQ(to_register(convert<double>(std::bit_cast<float>(0xffc12345u))), 0xfff82468a0000000u);
  EXPECT_EQ(to_register(convert<double>(F16{0xfe01})), 0x7fffffffe0000000u);
}

TEST(Narrowing, RoundsToIntegralValuesInPlace) {
  const ConvertMode nearest{.to_integer = true};
  EXPECT_EQ(convert<float>(2.5f, nearest), 2.0f);
  EXPECT_EQ(convert<float>(3.5f, nearest), 4.0f);
  EXPECT_TRUE(std::signbit(convert<float>(-0.25f, nearest)));
  EXPECT_EQ(convert<float>(-2.5f, {.rounding = Rounding::rm, .to_integer = true}), -3.0f);
  EXPECT_EQ(convert<double>(2.1, {.rounding = Rounding::rp, .to_integer = true}), 3.0);
  EXPECT_EQ(convert<double>(-2.9, {.rounding = Rounding::rz, .to_integer = true}), -2.0);
  EXPECT_EQ(to_register(convert<F16>(convert<F16>(2.5f), nearest)), 0x4000u);
}

/// `whole` is already rounded to an integral value.
template <typename To>
To clamped_reference(long double whole) {
  using Limits = std::numeric_limits<To>;
  if (whole < static_cast<long double>(Limits::min())) return Limits::min();
  if (whole > static_cast<long double>(Limits::max())) return Limits::max();
  return static_cast<To>(whole);
}

template <typename To, typename From>
void expect_converts_to_integer() {
  std::vector<From> values = oracle::interesting_values<From>(3000);
  for (int exponent = -3; exponent < 66; ++exponent) {
    for (const double offset : {-1.5, -1.0, -0.5, -0.25, 0.0, 0.5, 0.75, 1.0, 1.5, 2.5}) {
      const auto x = static_cast<From>(std::ldexp(1.0, exponent) + offset);
      for (const From near : {x, std::nextafter(x, From(0)), std::nextafter(x, From(1e30))}) {
        values.push_back(near);
        values.push_back(-near);
      }
    }
  }
  for (const From x : values) {
    if (x != x) continue;
    for (const Rounding rounding : kDirected) {
      const long double wide = x;
      const long double whole = rounding == Rounding::rz   ? std::trunc(wide)
                                : rounding == Rounding::rm ? std::floor(wide)
                                : rounding == Rounding::rp ? std::ceil(wide)
                                                           : std::nearbyint(wide);
      ASSERT_EQ(convert<To>(x, {.rounding = rounding}), clamped_reference<To>(whole))
          << static_cast<double>(x) << " rounding " << static_cast<int>(rounding);
    }
  }
}

TEST(ToInteger, RoundsAndClampsFromF32) {
  expect_converts_to_integer<int8_t, float>();
  expect_converts_to_integer<uint8_t, float>();
  expect_converts_to_integer<int16_t, float>();
  expect_converts_to_integer<uint16_t, float>();
  expect_converts_to_integer<int32_t, float>();
  expect_converts_to_integer<uint32_t, float>();
  expect_converts_to_integer<int64_t, float>();
  expect_converts_to_integer<uint64_t, float>();
}

TEST(ToInteger, RoundsAndClampsFromF64) {
  expect_converts_to_integer<int8_t, double>();
  expect_converts_to_integer<uint16_t, double>();
  expect_converts_to_integer<int32_t, double>();
  expect_converts_to_integer<uint32_t, double>();
  expect_converts_to_integer<int64_t, double>();
  expect_converts_to_integer<uint64_t, double>();
}

TEST(ToInteger, RoundsEveryF16) {
  for (uint32_t code = 0; code <= 0xffff; ++code) {
    const F16 x{static_cast<uint16_t>(code)};
    if ((code & 0x7fff) > 0x7c00) {
      ASSERT_EQ(convert<int32_t>(x), 0);
      continue;
    }
    const double value = to_f32(x);
    ASSERT_EQ(convert<int16_t>(x), clamped_reference<int16_t>(std::nearbyint(value)));
    ASSERT_EQ(convert<uint8_t>(x, {.rounding = Rounding::rp}),
              clamped_reference<uint8_t>(std::ceil(value)));
  }
}

TEST(ToInteger, FollowsTheRulesForNan) {
  EXPECT_EQ(convert<int32_t>(kNan), 0);
  EXPECT_EQ(convert<uint16_t>(kNan), 0);
  EXPECT_EQ(convert<int64_t>(kNan), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(convert<uint64_t>(kNan), uint64_t{1} << 63);
  EXPECT_EQ(convert<int32_t>(double{kNan}), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(convert<uint32_t>(double{kNan}), 0x80000000u);
}

TEST(ToInteger, FlushesSubnormalOperands) {
  EXPECT_EQ(convert<int32_t>(0x1p-140f, {.rounding = Rounding::rp}), 1);
  EXPECT_EQ(convert<int32_t>(0x1p-140f, {.rounding = Rounding::rp, .ftz = true}), 0);
}

template <typename From>
void expect_converts_from_integer() {
  std::mt19937_64 random(7);
  std::vector<From> values = {std::numeric_limits<From>::min(), std::numeric_limits<From>::max(),
                              From(1)};
  for (int i = 0; i < 20000; ++i) {
    values.push_back(static_cast<From>(random() >> (random() % 64)));
    values.push_back(static_cast<From>((uint64_t{1} << (random() % 64)) + (i % 3 == 0 ? 1 : 0)));
  }
  for (const From x : values) {
    for (const Rounding rounding : kDirected) {
      volatile long double operand = x;  // exact: 64 bits of mantissa
      volatile float f32 = 0;
      volatile double f64 = 0;
      {
        HostRounding host(rounding);
        f32 = static_cast<float>(operand);
        f64 = static_cast<double>(operand);
      }
      const ConvertMode mode{.rounding = rounding};
      ASSERT_EQ(convert<float>(x, mode), f32) << +x;
      ASSERT_EQ(convert<double>(x, mode), f64) << +x;
      const long double exactly = operand;
      const uint32_t sign = x < 0 ? 0x8000u : 0;
      ASSERT_EQ(to_register(convert<F16>(x, mode)),
                oracle::f16().magnitude_code(exactly, rounding) | sign)
          << +x;
      ASSERT_EQ(to_register(convert<BF16>(x, mode)),
                oracle::bf16().magnitude_code(exactly, rounding) | sign)
          << +x;
    }
  }
}

TEST(FromInteger, RoundsOnceInEveryMode) {
  expect_converts_from_integer<int8_t>();
  expect_converts_from_integer<uint16_t>();
  expect_converts_from_integer<int32_t>();
  expect_converts_from_integer<uint32_t>();
  expect_converts_from_integer<int64_t>();
  expect_converts_from_integer<uint64_t>();
}

TEST(BetweenIntegers, TruncatesOrSaturates) {
  EXPECT_EQ((convert<uint8_t, int32_t>(0x1ff)), 0xff);
  EXPECT_EQ((convert<int8_t, int32_t>(200)), -56);
  EXPECT_EQ((convert<int8_t, int32_t>(200, {.sat = true})), 127);
  EXPECT_EQ((convert<int8_t, int32_t>(-200, {.sat = true})), -128);
  EXPECT_EQ((convert<uint8_t, int32_t>(-1, {.sat = true})), 0);
  EXPECT_EQ((convert<int32_t, uint32_t>(0xffffffffu, {.sat = true})), 0x7fffffff);
  EXPECT_EQ((convert<int64_t, int8_t>(-3)), -3);
  EXPECT_EQ((convert<uint64_t, int64_t>(-3, {.sat = true})), 0u);
  EXPECT_EQ((convert<int64_t, uint64_t>(~uint64_t{0}, {.sat = true})),
            std::numeric_limits<int64_t>::max());
}

TEST(Packed, PutsTheFirstSourceIntoTheUpperHalf) {
  EXPECT_EQ(to_register(convert_pair<F16>(1.0f, 2.0f)), 0x3c004000u);
  EXPECT_EQ(to_register(convert_pair<BF16>(1.0f, -2.0f, {.relu = true})), 0x3f800000u);
  EXPECT_EQ(convert_register_pair(Number::e4m3x2, 1.0f, 500.0f, {.satfinite = true}), 0x387eu);
  EXPECT_EQ(convert_register_pair(Number::e5m2x2, -1.0f, 0.0f, {.satfinite = true}), 0xbc00u);
  EXPECT_EQ(convert_register(Number::f16x2, Number::e4m3x2, 0x387f, {}), 0x3c007fffu);
  EXPECT_EQ(convert_register(Number::e4m3x2, Number::f16x2, 0x3c004000u, {.satfinite = true}),
            0x3840u);
}

TEST(Packed, PacksSaturatedIntegers) {
  EXPECT_EQ(convert_pack(16, true, 40000, -40000), 0x7fff8000u);
  EXPECT_EQ(convert_pack(16, false, 70000, -1), 0xffff0000u);
  EXPECT_EQ(convert_pack(8, true, 200, -200, 0x12345678u), 0x56787f80u);
  EXPECT_EQ(convert_pack(8, false, 300, -5, 0xabcdu), 0xabcdff00u);
  EXPECT_EQ(convert_pack(4, true, 7, -9, 0x11u), 0x1178u);
  EXPECT_EQ(convert_pack(2, false, 9, 1, 1u), 0x1du);
}

TEST(RunTimeTypes, AgreeWithTheTemplates) {
  EXPECT_EQ(convert_register(Number::f32, Number::s32, 0xffffffffu, {}),
            std::bit_cast<uint32_t>(-1.0f));
  EXPECT_EQ(convert_register(Number::s8, Number::f32, std::bit_cast<uint32_t>(-7.9f),
                             {.rounding = Rounding::rz}),
            0xf9u);
  EXPECT_EQ(convert_register(Number::f64, Number::f16, 0x3c00, {}), std::bit_cast<uint64_t>(1.0));
  EXPECT_EQ(convert_register(Number::tf32, Number::f32, std::bit_cast<uint32_t>(1.0f + 0x1p-11f),
                             {.rounding = Rounding::rna}),
            std::bit_cast<uint32_t>(1.0f + 0x1p-10f));
  EXPECT_EQ(convert_register(Number::s64, Number::s8, 0x80, {}), uint64_t{0} - 128);
}

}  // namespace
}  // namespace assay::virtual_gpu
