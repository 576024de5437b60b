#include <gtest/gtest.h>

#include "tests/virtual_arithmetic/oracle.h"

namespace assay::virtual_gpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

uint32_t bits(float x) { return std::bit_cast<uint32_t>(x); }

/// |got - want| in units of the last place of f32 at `want`.
double ulps(float got, long double want) {
  const float nearest = static_cast<float>(want);
  const double unit = double{std::nextafter(std::fabs(nearest), kInfinity)} - std::fabs(nearest);
  return static_cast<double>(std::fabs(static_cast<long double>(got) - want)) / unit;
}

template <typename Got, typename Want>
void expect_half_ulp(float low, float high, Got got, Want want) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> draw(low, high);
  for (int i = 0; i < 50000; ++i) {
    const float x = draw(random);
    const auto exactly = want(static_cast<long double>(x));
    if (std::fabs(exactly) > std::numeric_limits<float>::max()) continue;
    ASSERT_LE(ulps(got(x), exactly), 0.5001) << x;
  }
}

TEST(Approximations, AreWithinHalfAUlp) {
  expect_half_ulp(
      -150.0f, 128.0f, [](float x) { return ex2_approx(x); },
      [](long double x) { return std::exp2(x); });
  expect_half_ulp(
      0.0f, 4.0f, [](float x) { return lg2_approx(x); },
      [](long double x) { return std::log2(x); });
  expect_half_ulp(
      -7.0f, 7.0f, [](float x) { return sin_approx(x); },
      [](long double x) { return std::sin(x); });
  expect_half_ulp(
      -7.0f, 7.0f, [](float x) { return cos_approx(x); },
      [](long double x) { return std::cos(x); });
  expect_half_ulp(
      -10.0f, 10.0f, [](float x) { return tanh_approx(x); },
      [](long double x) { return std::tanh(x); });
  expect_half_ulp(
      1e-30f, 1e30f, [](float x) { return rsqrt_approx(x); },
      [](long double x) { return 1 / std::sqrt(x); });
  expect_half_ulp(
      1e-30f, 1e30f, [](float x) { return rcp_approx(x); }, [](long double x) { return 1 / x; });
  expect_half_ulp(
      0.0f, 1e30f, [](float x) { return sqrt_approx(x); },
      [](long double x) { return std::sqrt(x); });
  expect_half_ulp(
      -1e20f, 1e20f, [](float x) { return div_approx(x, 3.0f); },
      [](long double x) { return x / 3; });
}

TEST(Approximations, TreatSpecialValuesAsDocumented) {
  EXPECT_EQ(bits(ex2_approx(-kInfinity)), 0u);
  EXPECT_EQ(ex2_approx(kInfinity), kInfinity);
  EXPECT_EQ(ex2_approx(-0.0f), 1.0f);
  EXPECT_EQ(ex2_approx(-0x1p-140f), 1.0f);
  EXPECT_EQ(bits(ex2_approx(kNan)), kNanF32);
  EXPECT_EQ(ex2_approx(-130.0f), 0x1p-130f);
  EXPECT_EQ(bits(ex2_approx(-130.0f, true)), 0u);

  EXPECT_EQ(lg2_approx(0.0f), -kInfinity);
  EXPECT_EQ(lg2_approx(-0.0f), -kInfinity);
  EXPECT_EQ(bits(lg2_approx(-1.0f)), kNanF32);
  EXPECT_EQ(lg2_approx(0x1p-140f), -140.0f);
  EXPECT_EQ(lg2_approx(0x1p-140f, true), -kInfinity);
  EXPECT_EQ(lg2_approx(kInfinity), kInfinity);

  EXPECT_EQ(bits(sin_approx(kInfinity)), kNanF32);
  EXPECT_EQ(bits(cos_approx(-kInfinity)), kNanF32);
  EXPECT_EQ(bits(sin_approx(-0.0f)), 0x80000000u);
  EXPECT_EQ(cos_approx(0.0f), 1.0f);

  EXPECT_EQ(rcp_approx(-0.0f), -kInfinity);
  EXPECT_EQ(bits(rcp_approx(-kInfinity)), 0x80000000u);
  EXPECT_EQ(rcp_approx(0x1p-140f, true), kInfinity);
  EXPECT_EQ(rsqrt_approx(-0.0f), -kInfinity);
  EXPECT_EQ(bits(rsqrt_approx(-1.0f)), kNanF32);
  EXPECT_EQ(bits(rsqrt_approx(kInfinity)), 0u);
  EXPECT_EQ(bits(sqrt_approx(-0.0f)), 0x80000000u);
  EXPECT_EQ(tanh_approx(-kInfinity), -1.0f);
}

TEST(Approximations, DivisionByVeryLargeNumbersIsZero) {
  EXPECT_EQ(bits(div_approx(1e30f, 0x1.8p126f)), 0u);
  EXPECT_EQ(bits(div_approx(kInfinity, 0x1.8p126f)), kNanF32);
  EXPECT_EQ(div_full(0x1.8p126f, 0x1.8p126f), 1.0f);
  EXPECT_EQ(div_approx(1.0f, 0x1p126f), 0x1p-126f);
  EXPECT_EQ(div_approx(1.0f, 0.0f), kInfinity);
}

TEST(Approximations, GrossDoubleReciprocalsHaveAnEmptyLowerWord) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    const double x = std::ldexp(1 + std::ldexp(static_cast<double>(random() >> 12), -52),
                                static_cast<int>(random() % 2000) - 1000);
    const double reciprocal = rcp_approx(x);
    ASSERT_EQ(std::bit_cast<uint64_t>(reciprocal) & 0xffffffffu, 0u);
    ASSERT_LE(std::fabs(reciprocal * x - 1), 0x1.9p-20) << x;
    const double upper = std::bit_cast<double>(std::bit_cast<uint64_t>(x) & 0xffffffff00000000u);
    ASSERT_LE(std::fabs(rcp_approx(upper) * upper - 1), 0x1.0001p-21) << "nearest, not cut off";
    const double root = rsqrt_approx(x, true);
    ASSERT_EQ(std::bit_cast<uint64_t>(root) & 0xffffffffu, 0u);
    ASSERT_LE(std::fabs(root * root * x - 1), 0x1.9p-19) << x;
    ASSERT_LE(std::fabs(rsqrt_approx(x) * std::sqrt(x) - 1), 0x1p-51) << x;
  }
  EXPECT_EQ(rcp_approx(0x1p-1030), std::numeric_limits<double>::infinity());
  EXPECT_EQ(rcp_approx(-0.0), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(rcp_approx(0x1p1023), 0.0);
}

}  // namespace
}  // namespace assay::virtual_gpu
