#include "tasks/fill_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tasks/philox.h"

namespace assay {
namespace {

/// |got - want| in units in the last place of want. The reference is x87's long double.
double ulps(double got, long double want) {
  const double near = static_cast<double>(want);
  const double ulp = std::nextafter(std::abs(near), INFINITY) - std::abs(near);
  return static_cast<double>(std::abs(static_cast<long double>(got) - want) / ulp);
}

TEST(Philox, MatchesTheVectorsOfThePaper) {
  const auto expect = [](philox::Words words, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    EXPECT_EQ(words.word[0], a);
    EXPECT_EQ(words.word[1], b);
    EXPECT_EQ(words.word[2], c);
    EXPECT_EQ(words.word[3], d);
  };
  expect(philox::generate(0, 0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
  expect(philox::generate(~uint64_t{0}, ~0u, ~0u, ~0u, ~0u), 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd);
  expect(philox::generate(0x299f31d0a4093822, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
         0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
}

TEST(FillMath, LogarithmIsWithinTwoUnitsInTheLastPlace) {
  std::mt19937_64 random(1);
  double worst = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    // Half near 1 and as Box-Muller asks for it, half anywhere.
    const double x = i % 2 ? (static_cast<uint32_t>(random()) + 0.5) * 0x1p-32
                           : std::ldexp(1 + 0x1p-52 * static_cast<double>(random() >> 12),
                                        static_cast<int>(random() % 2000) - 1000);
    worst = std::max(worst, ulps(fill_math::log_of(x), std::log(static_cast<long double>(x))));
  }
  RecordProperty("worst_ulps", std::to_string(worst));
  EXPECT_LT(worst, 2);
  EXPECT_EQ(fill_math::log_of(1), 0);
}

TEST(FillMath, ExponentialIsWithinTwoUnitsInTheLastPlace) {
  std::mt19937_64 random(2);
  double worst = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    const double x = (static_cast<double>(random() >> 11) * 0x1p-53 - 0.5) * 1400;
    worst = std::max(worst, ulps(fill_math::exp_of(x), std::exp(static_cast<long double>(x))));
  }
  RecordProperty("worst_ulps", std::to_string(worst));
  EXPECT_LT(worst, 2);
  EXPECT_EQ(fill_math::exp_of(0), 1);
  EXPECT_EQ(fill_math::exp_of(-1000), 0);
  EXPECT_EQ(fill_math::exp_of(1000), INFINITY);
}

TEST(FillMath, SineAndCosineOfATurnAreWithinTheirBound) {
  std::mt19937 random(3);
  double worst = 0;
  const long double turn = 2 * 3.14159265358979323846264338327950288L / 4294967296.0L;
  for (int i = 0; i < 2'000'000; ++i) {
    const uint32_t word = static_cast<uint32_t>(random());
    const fill_math::SinCos got = fill_math::sin_cos_of_turn(word);
    const long double angle = turn * word;
    worst = std::max(worst, static_cast<double>(std::abs(got.sin - std::sin(angle))));
    worst = std::max(worst, static_cast<double>(std::abs(got.cos - std::cos(angle))));
  }
  RecordProperty("worst", std::to_string(worst * 1e16) + "e-16");
  EXPECT_LT(worst, 2e-16);
}

TEST(FillMath, QuarterTurnsAreExact) {
  EXPECT_EQ(fill_math::sin_cos_of_turn(0).sin, 0);
  EXPECT_EQ(fill_math::sin_cos_of_turn(0).cos, 1);
  EXPECT_EQ(fill_math::sin_cos_of_turn(0x40000000).sin, 1);
  EXPECT_EQ(fill_math::sin_cos_of_turn(0x80000000).cos, -1);
  EXPECT_EQ(fill_math::sin_cos_of_turn(0xc0000000).sin, -1);
}

TEST(FillMath, FloorIsThatOfTheLibrary) {
  for (const double x : {0.0, 0.5, -0.5, 1.0, -1.0, 1e15 + 0.5, -1e15 - 0.5, 0.9999999999999999})
    EXPECT_EQ(fill_math::floor_of(x), std::floor(x)) << x;
}

}  // namespace
}  // namespace assay
