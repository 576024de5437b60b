#include <gtest/gtest.h>

#include "tests/virtual_arithmetic/oracle.h"

namespace assay::virtual_gpu {
namespace {

using oracle::HostRounding;
using oracle::kDirected;
using oracle::pinned;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// One operation on the host's unit in the given rounding.
template <typename T>
struct HostOperation {
  Rounding rounding;
  T add(T a, T b) const {
    HostRounding host(rounding);
    return pinned(pinned(a) + pinned(b));
  }
  T sub(T a, T b) const {
    HostRounding host(rounding);
    return pinned(pinned(a) - pinned(b));
  }
  T mul(T a, T b) const {
    HostRounding host(rounding);
    return pinned(pinned(a) * pinned(b));
  }
  T div(T a, T b) const {
    HostRounding host(rounding);
    return pinned(pinned(a) / pinned(b));
  }
  T sqrt(T a) const {
    HostRounding host(rounding);
    return pinned(std::sqrt(pinned(a)));
  }
  T fma(T a, T b, T c) const {
    HostRounding host(rounding);
    return pinned(std::fma(pinned(a), pinned(b), pinned(c)));
  }
};

template <typename T>
void expect_binary_operations_like_host() {
  const std::vector<T> values = oracle::interesting_values<T>(150);
  for (const Rounding rounding : kDirected) {
    const HostOperation<T> host{rounding};
    const FloatMode mode{.rounding = rounding};
    for (const T a : values) {
      ASSERT_TRUE(oracle::same(sqrt(a, mode), host.sqrt(a))) << a;
      ASSERT_TRUE(oracle::same(rcp(a, mode), host.div(T{1}, a))) << a;
      for (const T b : values) {
        ASSERT_TRUE(oracle::same(add(a, b, mode), host.add(a, b))) << a << " + " << b;
        ASSERT_TRUE(oracle::same(sub(a, b, mode), host.sub(a, b))) << a << " - " << b;
        ASSERT_TRUE(oracle::same(mul(a, b, mode), host.mul(a, b))) << a << " * " << b;
        ASSERT_TRUE(oracle::same(div(a, b, mode), host.div(a, b))) << a << " / " << b;
      }
    }
  }
}

template <typename T>
void expect_fma_like_host() {
  const std::vector<T> values = oracle::interesting_values<T>(25);
  std::mt19937_64 random(99);
  for (const Rounding rounding : kDirected) {
    const HostOperation<T> host{rounding};
    const FloatMode mode{.rounding = rounding};
    for (const T a : values) {
      for (const T b : values) {
        for (const T c : values) {
          ASSERT_TRUE(oracle::same(fma(a, b, c, mode), host.fma(a, b, c)))
              << a << " * " << b << " + " << c << " rounding " << static_cast<int>(rounding);
        }
        // A third operand that cancels the product, or almost.
        const T product = -(a * b);
        for (const T c : {product, std::nextafter(product, T(0)), product * T(0.5)}) {
          ASSERT_TRUE(oracle::same(fma(a, b, c, mode), host.fma(a, b, c)))
              << a << " * " << b << " + " << c << " rounding " << static_cast<int>(rounding);
        }
      }
    }
  }
}

TEST(Arithmetic, F32MatchesTheHostInEveryRounding) { expect_binary_operations_like_host<float>(); }
TEST(Arithmetic, F64MatchesTheHostInEveryRounding) { expect_binary_operations_like_host<double>(); }
TEST(Arithmetic, F32FusedMultiplyAddMatchesTheHost) { expect_fma_like_host<float>(); }
TEST(Arithmetic, F64FusedMultiplyAddMatchesTheHost) { expect_fma_like_host<double>(); }

TEST(Arithmetic, ExactRoutinesAgreeWithTheHostInNearest) {
  // The .rn paths above use the host; the exact routines must agree there too.
  const std::vector<double> values = oracle::interesting_values<double>(100);
  for (const double a : values) {
    for (const double b : values) {
      ASSERT_TRUE(oracle::same(add_rounded(a, b, Rounding::rn), a + b)) << a << " " << b;
      ASSERT_TRUE(oracle::same(mul_rounded(a, b, Rounding::rn), a * b)) << a << " " << b;
      ASSERT_TRUE(oracle::same(div_rounded(a, b, Rounding::rn), a / b)) << a << " " << b;
      ASSERT_TRUE(oracle::same(fma_rounded(a, b, -a, Rounding::rn), std::fma(a, b, -a)));
    }
    ASSERT_TRUE(oracle::same(sqrt_rounded(a, Rounding::rn), std::sqrt(a))) << a;
  }
}

TEST(Arithmetic, ProducesTheCanonicalNan) {
  EXPECT_EQ(std::bit_cast<uint32_t>(add(kInfinity, -kInfinity)), kNanF32);
  EXPECT_EQ(std::bit_cast<uint32_t>(mul(0.0f, kInfinity)), kNanF32);
  EXPECT_EQ(std::bit_cast<uint32_t>(fma(kNan, 1.0f, 1.0f)), kNanF32);
  EXPECT_EQ(std::bit_cast<uint32_t>(div(0.0f, 0.0f)), kNanF32);
  EXPECT_EQ(std::bit_cast<uint32_t>(sqrt(-1.0f)), kNanF32);
}

TEST(Arithmetic, ZeroSumsAreNegativeOnlyWhenRoundingDown) {
  EXPECT_FALSE(std::signbit(add(1.0f, -1.0f)));
  EXPECT_TRUE(std::signbit(add(1.0f, -1.0f, {.rounding = Rounding::rm})));
  EXPECT_FALSE(std::signbit(add(1.0, -1.0, {.rounding = Rounding::rp})));
  EXPECT_TRUE(std::signbit(add(-0.0f, -0.0f, {.rounding = Rounding::rp})));
}

TEST(Arithmetic, FlushesSubnormalOperandsAndResults) {
  const FloatMode ftz{.ftz = true};
  const float tiny = 0x1p-130f;
  EXPECT_EQ(std::bit_cast<uint32_t>(add(tiny, -0.0f, ftz)), 0u);
  EXPECT_EQ(std::bit_cast<uint32_t>(add(-tiny, -0.0f, ftz)), 0x80000000u);
  EXPECT_EQ(std::bit_cast<uint32_t>(mul(-0x1p-100f, 0x1p-30f, ftz)), 0x80000000u);
  EXPECT_EQ(std::bit_cast<uint32_t>(mul(0x1p-100f, 0x1p-30f)), std::bit_cast<uint32_t>(tiny));
  EXPECT_EQ(fma(tiny, 0x1p100f, 1.0f, ftz), 1.0f);
  EXPECT_EQ(div(1.0f, tiny, ftz), kInfinity);
}

/// Results of an H200: what rounds to 2^-126 only at the subnormal precision is flushed.
TEST(Arithmetic, FlushesWhatIsTinyBeforeTheSubnormalRounding) {
  const float below_one = std::nextafter(1.0f, 0.0f);
  const float smallest = 0x1p-126f;
  EXPECT_EQ(mul(below_one, smallest), smallest);
  for (const Rounding rounding : kDirected) {
    const FloatMode ftz{.rounding = rounding, .ftz = true};
    EXPECT_EQ(mul(below_one, smallest, ftz), 0.0f);
    EXPECT_EQ(fma(below_one, smallest, 0.0f, ftz), 0.0f);
    EXPECT_EQ(div(std::nextafter(2 * smallest, 0.0f), 2.0f, ftz), 0.0f);
    EXPECT_EQ(mul(smallest, 1.0f, ftz), smallest);
  }
  EXPECT_EQ(mul(F16{0x3bff}, F16{0x0400}, {.ftz = true}).bits, 0);
  EXPECT_EQ(mul(F16{0x3bff}, F16{0x0400}).bits, 0x0400);
  EXPECT_EQ(convert<float>(0x1p-126 - 0x1p-152, {.ftz = true}), smallest);
}

TEST(Arithmetic, SaturatesToTheUnitInterval) {
  const FloatMode sat{.sat = true};
  EXPECT_EQ(add(0.75f, 0.75f, sat), 1.0f);
  EXPECT_EQ(std::bit_cast<uint32_t>(add(-0.75f, 0.25f, sat)), 0u);
  EXPECT_EQ(std::bit_cast<uint32_t>(mul(-0.0f, 1.0f, sat)), 0u);
  EXPECT_EQ(std::bit_cast<uint32_t>(fma(kNan, 1.0f, 1.0f, sat)), 0u);
  EXPECT_EQ(sub(0.75f, 0.25f, sat), 0.5f);
}

template <typename T>
class MinMax : public ::testing::Test {};
struct SomeValues {
  template <typename T>
  static T of(double x) {
    return convert<T>(x);
  }
};
using FloatTypes = ::testing::Types<float, double, F16, BF16>;
TYPED_TEST_SUITE(MinMax, FloatTypes);

TYPED_TEST(MinMax, OrdersZerosAndIgnoresOneNan) {
  using T = TypeParam;
  const auto value = [](double x) { return SomeValues::of<T>(x); };
  const auto bits = [](T x) { return to_register(x); };
  const T nan = detail::canonical_nan(T{});
  EXPECT_EQ(bits(min(value(1), value(2))), bits(value(1)));
  EXPECT_EQ(bits(max(value(1), value(2))), bits(value(2)));
  EXPECT_EQ(bits(max(value(-3), value(-2))), bits(value(-2)));
  EXPECT_EQ(bits(min(value(0.0), value(-0.0))), bits(value(-0.0)));
  EXPECT_EQ(bits(min(value(-0.0), value(0.0))), bits(value(-0.0)));
  EXPECT_EQ(bits(max(value(-0.0), value(0.0))), bits(value(0.0)));
  EXPECT_EQ(bits(max(value(0.0), value(-0.0))), bits(value(0.0)));
  EXPECT_EQ(bits(min(nan, value(3))), bits(value(3)));
  EXPECT_EQ(bits(max(value(3), nan)), bits(value(3)));
  EXPECT_EQ(bits(min(nan, nan)), bits(nan));
  EXPECT_EQ(bits(min(nan, value(3), {.nan = true})), bits(nan));
  EXPECT_EQ(bits(max(value(3), nan, {.nan = true})), bits(nan));
  EXPECT_EQ(bits(max(value(-3), value(2), {.xorsign_abs = true})), bits(value(-3)));
  EXPECT_EQ(bits(min(value(-3), value(-2), {.xorsign_abs = true})), bits(value(2)));
  EXPECT_EQ(bits(min(value(3), value(-2), {.xorsign_abs = true})), bits(value(-2)));
}

TEST(MinMaxF32, FlushesWithFtz) {
  EXPECT_EQ(std::bit_cast<uint32_t>(max(0x1p-130f, 0.0f, {.ftz = true})), 0u);
  EXPECT_EQ(max(0x1p-130f, 0.0f), 0x1p-130f);
}

TEST(Compare, CoversOrderedAndUnorderedForms) {
  struct Row {
    Compare comparison;
    bool less, equal, greater, unordered;
  };
  const Row rows[] = {
      {Compare::eq, false, true, false, false}, {Compare::ne, true, false, true, false},
      {Compare::lt, true, false, false, false}, {Compare::le, true, true, false, false},
      {Compare::gt, false, false, true, false}, {Compare::ge, false, true, true, false},
      {Compare::equ, false, true, false, true}, {Compare::neu, true, false, true, true},
      {Compare::ltu, true, false, false, true}, {Compare::leu, true, true, false, true},
      {Compare::gtu, false, false, true, true}, {Compare::geu, false, true, true, true},
      {Compare::num, true, true, true, false},  {Compare::nan, false, false, false, true},
  };
  for (const Row& row : rows) {
    const auto check = [&](auto one, auto two, auto nan) {
      EXPECT_EQ(compare(row.comparison, one, two), row.less);
      EXPECT_EQ(compare(row.comparison, two, two), row.equal);
      EXPECT_EQ(compare(row.comparison, two, one), row.greater);
      EXPECT_EQ(compare(row.comparison, nan, two), row.unordered);
      EXPECT_EQ(compare(row.comparison, one, nan), row.unordered);
      EXPECT_EQ(compare(row.comparison, nan, nan), row.unordered);
    };
    check(1.0f, 2.0f, kNan);
    check(1.0, 2.0, double{kNan});
    check(convert<F16>(1.0f), convert<F16>(2.0f), F16{kNanF16});
    check(convert<BF16>(-2.0f), convert<BF16>(2.0f), BF16{kNanBF16});
  }
  EXPECT_TRUE(compare(Compare::eq, 0.0f, -0.0f));
  EXPECT_FALSE(compare(Compare::eq, 0x1p-130f, 0.0f));
  EXPECT_TRUE(compare(Compare::eq, 0x1p-130f, 0.0f, true));
}

TEST(Compare, OrdersIntegersBySignedness) {
  EXPECT_TRUE(compare(Compare::lt, int32_t{-1}, int32_t{1}));
  EXPECT_FALSE(compare(Compare::lo, 0xffffffffu, 1u));
  EXPECT_TRUE(compare(Compare::hi, 0xffffffffu, 1u));
  EXPECT_TRUE(compare(Compare::hs, uint64_t{5}, uint64_t{5}));
  EXPECT_TRUE(compare(Compare::ls, uint16_t{5}, uint16_t{6}));
}

TEST(Signs, NegateAbsoluteAndCopy) {
  EXPECT_TRUE(std::signbit(neg(0.0f)));
  EXPECT_EQ(abs(-3.0), 3.0);
  EXPECT_EQ(to_register(neg(F16{0x3c00})), 0xbc00u);
  EXPECT_EQ(to_register(abs(Pair<BF16>{{0xbf80}, {0x8000}})), 0x00003f80u);
  EXPECT_EQ(std::bit_cast<uint32_t>(neg(0x1p-130f, true)), 0x80000000u);
  EXPECT_EQ(to_register(neg(F16{0x7e01})), kNanF16);
  EXPECT_EQ(to_register(abs(BF16{0xffc1})), kNanBF16);
  EXPECT_EQ(std::bit_cast<uint32_t>(neg(std::bit_cast<float>(0x7fc12345u))), 0xffc12345u);
  EXPECT_EQ(std::bit_cast<uint32_t>(neg(std::bit_cast<float>(0x7fc12345u), true)), kNanF32);
  EXPECT_EQ(copysign(-1.0f, 3.0f), -3.0f);  // the first operand gives the sign
}

TEST(Properties, Classify) {
  EXPECT_TRUE(testp(TestProperty::finite, 1.0f));
  EXPECT_FALSE(testp(TestProperty::finite, kInfinity));
  EXPECT_TRUE(testp(TestProperty::infinite, -kInfinity));
  EXPECT_TRUE(testp(TestProperty::number, 0.0));
  EXPECT_FALSE(testp(TestProperty::number, kNan));
  EXPECT_TRUE(testp(TestProperty::not_a_number, kNan));
  EXPECT_TRUE(testp(TestProperty::normal, 1.0f));
  EXPECT_TRUE(testp(TestProperty::normal, 0.0f));  // the manual's special case
  EXPECT_FALSE(testp(TestProperty::normal, 0x1p-130f));
  EXPECT_TRUE(testp(TestProperty::subnormal, 0x1p-130f));
}

}  // namespace
}  // namespace assay::virtual_gpu
