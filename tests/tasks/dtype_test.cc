#include "tasks/dtype.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tasks/element.h"

namespace assay {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<Dtype> kSmallFloats = {Dtype::f16, Dtype::bf16, Dtype::e4m3, Dtype::e5m2};

uint32_t code_of(Dtype dtype, double value) {
  uint32_t code = 0;
  from_double(dtype, value, &code);
  return code;
}

double value_of(Dtype dtype, uint32_t code) { return to_double(dtype, &code); }

uint32_t sign_bit(Dtype dtype) { return 1u << (8 * size_bytes(dtype) - 1); }

/// The code of the largest finite value.
uint32_t last_finite(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
      return 0x7bff;
    case Dtype::bf16:
      return 0x7f7f;
    case Dtype::e4m3:
      return 0x7e;
    default:
      return 0x7b;
  }
}

TEST(Dtype, NamesGoThereAndBack) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    EXPECT_EQ(dtype_from_name(name(dtype)), dtype);
    EXPECT_FALSE(cuda_type(dtype).empty());
  }
  EXPECT_EQ(name(Dtype::boolean), "bool");
  EXPECT_EQ(dtype_from_name("float"), std::nullopt);
}

TEST(Dtype, SizesAreThoseOfTheCudaTypes) {
  EXPECT_EQ(size_bytes(Dtype::f64), 8u);
  EXPECT_EQ(size_bytes(Dtype::tf32), 4u);
  EXPECT_EQ(size_bytes(Dtype::bf16), 2u);
  EXPECT_EQ(size_bytes(Dtype::e4m3), 1u);
  EXPECT_EQ(size_bytes(Dtype::i64), 8u);
  EXPECT_EQ(size_bytes(Dtype::boolean), 1u);
}

TEST(Dtype, EveryCodeOfTheSmallFloatsDecodesToAValueThatEncodesToIt) {
  for (const Dtype dtype : kSmallFloats)
    for (uint32_t code = 0; code < 2 * sign_bit(dtype); ++code) {
      const double value = value_of(dtype, code);
      if (std::isnan(value)) {
        EXPECT_TRUE(std::isnan(value_of(dtype, code_of(dtype, value))));
      } else {
        ASSERT_EQ(code_of(dtype, value), code) << name(dtype) << " " << value;
      }
    }
}

TEST(Dtype, KnownCodesHaveTheirPublishedValues) {
  EXPECT_EQ(value_of(Dtype::f16, 0x3c00), 1);
  EXPECT_EQ(value_of(Dtype::f16, 0x0001), std::ldexp(1, -24));
  EXPECT_EQ(value_of(Dtype::f16, 0x7bff), 65504);
  EXPECT_EQ(value_of(Dtype::f16, 0xfc00), -kInfinity);
  EXPECT_EQ(value_of(Dtype::bf16, 0x3fc0), 1.5);
  EXPECT_EQ(value_of(Dtype::bf16, 0x0001), std::ldexp(1, -133));
  EXPECT_EQ(value_of(Dtype::e4m3, 0x7e), 448);
  EXPECT_EQ(value_of(Dtype::e4m3, 0x01), std::ldexp(1, -9));
  EXPECT_TRUE(std::isnan(value_of(Dtype::e4m3, 0x7f)));
  EXPECT_TRUE(std::isnan(value_of(Dtype::e4m3, 0xff)));
  EXPECT_EQ(value_of(Dtype::e5m2, 0x7b), 57344);
  EXPECT_EQ(value_of(Dtype::e5m2, 0x7c), kInfinity);
  EXPECT_TRUE(std::isnan(value_of(Dtype::e5m2, 0x7d)));
}

TEST(Dtype, RoundsToNearestAndTiesToEvenBetweenAllNeighbours) {
  for (const Dtype dtype : kSmallFloats)
    for (uint32_t code = 0; code < last_finite(dtype); ++code) {
      const double low = value_of(dtype, code), high = value_of(dtype, code + 1);
      const double middle = (low + high) / 2;  // exact: few mantissa bits
      const uint32_t even = code % 2 == 0 ? code : code + 1;
      ASSERT_EQ(code_of(dtype, middle), even) << name(dtype) << " " << middle;
      ASSERT_EQ(code_of(dtype, std::nextafter(middle, 0)), code) << name(dtype);
      ASSERT_EQ(code_of(dtype, std::nextafter(middle, kInfinity)), code + 1) << name(dtype);
      ASSERT_EQ(code_of(dtype, -middle), even | sign_bit(dtype)) << name(dtype);
    }
}

TEST(Dtype, OverflowGoesToInfinityFromHalfAStepAboveTheLargest) {
  EXPECT_EQ(code_of(Dtype::f16, 65519.999), 0x7bffu);
  EXPECT_EQ(code_of(Dtype::f16, 65520), 0x7c00u);
  EXPECT_EQ(code_of(Dtype::e5m2, 61440), 0x7cu);
  EXPECT_EQ(code_of(Dtype::e5m2, -1e300), 0xfcu);
  EXPECT_EQ(code_of(Dtype::bf16, 3.5e38), 0x7f80u);
  EXPECT_EQ(code_of(Dtype::e4m3, 464), 0x7eu);
  EXPECT_TRUE(std::isnan(value_of(Dtype::e4m3, code_of(Dtype::e4m3, 464.001))));
  EXPECT_TRUE(std::isnan(value_of(Dtype::e4m3, code_of(Dtype::e4m3, kInfinity))));
}

TEST(Dtype, NanStaysNanAndZeroKeepsItsSign) {
  for (const Dtype dtype : kSmallFloats) {
    EXPECT_TRUE(std::isnan(value_of(dtype, code_of(dtype, std::nan(""))))) << name(dtype);
    EXPECT_EQ(code_of(dtype, -0.0), sign_bit(dtype));
    EXPECT_EQ(code_of(dtype, -1e-300), sign_bit(dtype));
    EXPECT_EQ(code_of(dtype, std::numeric_limits<double>::denorm_min()), 0u);
  }
}

TEST(Dtype, Tf32KeepsTenMantissaBitsWithOneRounding) {
  EXPECT_EQ(rounded(Dtype::tf32, 1 + std::ldexp(1, -10)), 1 + std::ldexp(1, -10));
  EXPECT_EQ(rounded(Dtype::tf32, 1 + std::ldexp(1, -11)), 1);  // tie
  // Rounding to f32 first would make a tie of this.
  EXPECT_EQ(rounded(Dtype::tf32, 1 + std::ldexp(1, -11) + std::ldexp(1, -40)),
            1 + std::ldexp(1, -10));
  float stored = 0;
  from_double(Dtype::tf32, 0.1, &stored);
  uint32_t bits;
  std::memcpy(&bits, &stored, 4);
  EXPECT_EQ(bits & 0x1fffu, 0u);
}

TEST(Dtype, Float32MatchesTheCast) {
  for (const double value : {0.1, -1e-40, 1e39, 16777217.0, 16777219.0, 1e-50})
    EXPECT_EQ(rounded(Dtype::f32, value), static_cast<double>(static_cast<float>(value)));
}

TEST(Dtype, IntegersRoundToEvenAndSaturate) {
  EXPECT_EQ(rounded(Dtype::i32, 2.5), 2);
  EXPECT_EQ(rounded(Dtype::i32, 3.5), 4);
  EXPECT_EQ(rounded(Dtype::i32, -2.5), -2);
  EXPECT_EQ(rounded(Dtype::i32, 1e12), 2147483647);
  EXPECT_EQ(rounded(Dtype::i32, -1e12), -2147483648.0);
  EXPECT_EQ(rounded(Dtype::i8, 127.5), 127);
  EXPECT_EQ(rounded(Dtype::i8, -200), -128);
  EXPECT_EQ(rounded(Dtype::u8, -1), 0);
  EXPECT_EQ(rounded(Dtype::u8, 300), 255);
  EXPECT_EQ(rounded(Dtype::u32, 4294967295.0), 4294967295.0);
  EXPECT_EQ(rounded(Dtype::i16, std::nan("")), 0);
  EXPECT_EQ(rounded(Dtype::i64, 9007199254740993.0), 9007199254740992.0);
  int64_t wide = 0;
  from_double(Dtype::i64, 1e30, &wide);
  EXPECT_EQ(wide, std::numeric_limits<int64_t>::max());
  from_double(Dtype::i64, -kInfinity, &wide);
  EXPECT_EQ(wide, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(rounded(Dtype::boolean, 0.2), 1);
  EXPECT_EQ(rounded(Dtype::boolean, 0), 0);
}

TEST(Dtype, NearestIntegerAgreesWithTheLibrary) {
  for (const double value : {0.5, 1.5, -0.5, -1.5, 0.49999999999999994, 4503599627370495.5,
                             -4503599627370495.5, 4503599627370497.0, 1e300, -1e300})
    EXPECT_EQ(element::nearest_integer(value), std::nearbyint(value)) << value;
}

TEST(Dtype, LargestValuesAreFiniteAndTheNextOnesAreNot) {
  for (const Dtype dtype : kSmallFloats) {
    EXPECT_EQ(value_of(dtype, last_finite(dtype)), largest(dtype)) << name(dtype);
    EXPECT_EQ(rounded(dtype, largest(dtype)), largest(dtype));
  }
  EXPECT_EQ(largest(Dtype::f32), std::numeric_limits<float>::max());
  EXPECT_EQ(rounded(Dtype::tf32, largest(Dtype::tf32)), largest(Dtype::tf32));
  EXPECT_EQ(rounded(Dtype::tf32, largest(Dtype::tf32) * (1 + std::ldexp(1, -11))), kInfinity);
}

TEST(Dtype, AllIntegersUpToTheExactLimitAreElements) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    const double limit = largest_exact_integer(dtype);
    for (int below = 0; below <= std::min(limit, 5000.0); ++below)
      ASSERT_EQ(rounded(dtype, limit - below), limit - below) << name(dtype);
    if (limit < 9007199254740992.0) {
      EXPECT_NE(rounded(dtype, limit + 1), limit + 1) << name(dtype);
    }
  }
}

TEST(Dtype, ElementsMayLieAtAnyAddress) {
  alignas(8) char bytes[16] = {};
  from_double(Dtype::f64, 0.1, bytes + 3);
  EXPECT_EQ(to_double(Dtype::f64, bytes + 3), 0.1);
}

}  // namespace
}  // namespace assay
