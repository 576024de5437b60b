#include <gtest/gtest.h>

#include "tests/virtual_arithmetic/oracle.h"

namespace assay::virtual_gpu {
namespace {

template <typename T>
void expect_arithmetic(const oracle::Table& table, T one) {
  const T minus_one = neg(one);
  std::mt19937 random(4242);
  for (int i = 0; i < 400000; ++i) {
    const auto draw = [&] { return T{static_cast<uint16_t>(random())}; };
    T a = draw(), b = draw(), c = draw();
    if (i % 4 == 1) {
      // Near cancellation: c close to -(a * b).
      const T product = mul(a, b);
      c = T{static_cast<uint16_t>((product.bits ^ 0x8000u) + random() % 3 - 1)};
    }
    if (i % 4 == 2) b = T{static_cast<uint16_t>(a.bits + random() % 5 - 2)};
    if (i % 4 == 3) {
      a = T{static_cast<uint16_t>(0x3000u + random() % 0x1800u)};
      b = T{static_cast<uint16_t>(0x3000u + random() % 0x1800u)};
    }
    ASSERT_EQ(fma(a, b, c).bits, oracle::fused_code(table, a, b, c))
        << a.bits << " * " << b.bits << " + " << c.bits;
    ASSERT_EQ(add(a, b).bits, oracle::fused_code(table, a, one, b)) << a.bits << " + " << b.bits;
    ASSERT_EQ(sub(a, b).bits, oracle::fused_code(table, b, minus_one, a))
        << a.bits << " - " << b.bits;
    const bool negative_product = ((a.bits ^ b.bits) & 0x8000u) != 0;
    const T zero{static_cast<uint16_t>(negative_product ? 0x8000u : 0)};
    ASSERT_EQ(mul(a, b).bits, oracle::fused_code(table, a, b, zero)) << a.bits << " * " << b.bits;
  }
}

TEST(HalfArithmetic, F16RoundsOnce) { expect_arithmetic(oracle::f16(), F16{0x3c00}); }
TEST(HalfArithmetic, BF16RoundsOnce) { expect_arithmetic(oracle::bf16(), BF16{0x3f80}); }

TEST(HalfArithmetic, FusedMultiplyAddDiffersFromTwoRoundings) {
  // bf16: 1.0078125 * 1.0078125 = 1.01568603515625; minus 1.015625 leaves 2^-14 only when fused.
  const BF16 a{0x3f81};
  EXPECT_EQ(to_f32(fma(a, a, BF16{0xbf82})), 0x1p-14f);
  EXPECT_EQ(to_f32(add(mul(a, a), BF16{0xbf82})), 0.0f);
  // A product on a midpoint of bf16 and an addend far below must not round to even.
  const BF16 tiny{0x0080};
  const BF16 midpoint_factor = convert<BF16>(1.5f), other = convert<BF16>(1.0078125f);
  const double product = double{to_f32(midpoint_factor)} * to_f32(other);
  EXPECT_EQ(product, 1.51171875);  // half way between 1.5078125 and 1.515625
  EXPECT_EQ(to_f32(fma(midpoint_factor, other, tiny)), 1.515625f);
  EXPECT_EQ(to_f32(fma(midpoint_factor, other, neg(tiny))), 1.5078125f);
}

TEST(HalfArithmetic, SaturatesAndClampsNegatives) {
  const F16 one{0x3c00}, two{0x4000}, minus_two{0xc000};
  EXPECT_EQ(add(one, two, {.sat = true}).bits, 0x3c00);
  EXPECT_EQ(add(one, minus_two, {.sat = true}).bits, 0);
  EXPECT_EQ(mul(F16{kNanF16}, two, {.sat = true}).bits, 0);
  EXPECT_EQ(fma(one, minus_two, one, {.relu = true}).bits, 0);
  EXPECT_EQ(fma(F16{kNanF16}, two, one, {.relu = true}).bits, kNanF16);
  EXPECT_EQ(fma(BF16{0x3f80}, BF16{0xc000}, BF16{0x3f80}, {.relu = true}).bits, 0);
}

TEST(HalfArithmetic, MinAndMaxOfEveryValueWithItsNeighbours) {
  for (uint32_t code = 0; code < 0x7c00; ++code) {
    const F16 low{static_cast<uint16_t>(code)}, high{static_cast<uint16_t>(code + 1)};
    ASSERT_EQ(min(low, high).bits, low.bits);
    ASSERT_EQ(max(low, high).bits, high.bits);
    ASSERT_EQ(min(neg(low), neg(high)).bits, neg(high).bits);
    ASSERT_TRUE(compare(Compare::lt, low, high));
    ASSERT_EQ(max(neg(low), high).bits, high.bits);
  }
}

TEST(HalfArithmetic, WorksOnBothHalvesOfAPair) {
  const F16x2 a = from_register<F16x2>(0x3c004000u);  // 1 above 2
  const F16x2 b = from_register<F16x2>(0x42004400u);  // 3 above 4
  EXPECT_EQ(to_register(add(a, b)), 0x44004600u);
  EXPECT_EQ(to_register(mul(a, b)), 0x42004800u);
  EXPECT_EQ(to_register(fma(a, b, a)), 0x44004900u);
  EXPECT_EQ(to_register(sub(a, b)), 0xc000c000u);
  EXPECT_EQ(to_register(max(a, b)), 0x42004400u);
  EXPECT_EQ(to_register(min(a, b)), 0x3c004000u);
  EXPECT_EQ(to_register(neg(a)), 0xbc00c000u);
}

/// In units of the last place of the format at `want`.
double error_in_ulps(const oracle::Table& table, float got, double want) {
  const uint32_t code = table.magnitude_code(want, Rounding::rz);
  const std::vector<long double>& values = table.values();
  const uint32_t below = std::min(code, static_cast<uint32_t>(values.size() - 2));
  const auto ulp = static_cast<double>(values[below + 1] - values[below]);
  return std::fabs(got - want) / ulp;
}

TEST(HalfApproximations, AreWithinHalfAUlpForEveryValue) {
  for (uint32_t code = 0; code <= 0xffff; ++code) {
    const F16 x{static_cast<uint16_t>(code)};
    const double value = to_f32(x);
    if (std::isnan(value)) {
      ASSERT_EQ(ex2_approx(x).bits, kNanF16);
      ASSERT_EQ(tanh_approx(x).bits, kNanF16);
      continue;
    }
    if (value < 16 && value > -40) {
      ASSERT_LE(error_in_ulps(oracle::f16(), to_f32(ex2_approx(x)), std::exp2(value)), 0.5001);
    }
    ASSERT_LE(error_in_ulps(oracle::f16(), to_f32(tanh_approx(x)), std::tanh(value)), 0.5001);
  }
  EXPECT_EQ(ex2_approx(F16{0xfc00}).bits, 0);
  EXPECT_EQ(ex2_approx(F16{0x7c00}).bits, 0x7c00);
  EXPECT_EQ(ex2_approx(BF16{0x0001}).bits, 0x3f80);
  EXPECT_EQ(ex2_approx(BF16{0xc300}).bits, 0);  // 2^-128 is subnormal in bf16: flushed
  EXPECT_EQ(tanh_approx(BF16{0xff80}).bits, 0xbf80);
}

}  // namespace
}  // namespace assay::virtual_gpu
