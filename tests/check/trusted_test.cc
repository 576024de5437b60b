#include "evaluator/check/trusted.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace assay::trusted {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Comparison compare(const std::vector<double>& got, const std::vector<double>& want,
                   Tolerance tolerance) {
  return compare_on_host(got.data(), want.data(), Dtype::f64, got.size(), tolerance);
}

TEST(Compare, BoundsEachElementWithTheReferenceOnTheRight) {
  const Tolerance tolerance{0.5, 0.1, std::nullopt};
  EXPECT_TRUE(compare({11.5}, {10}, tolerance).passed());
  EXPECT_FALSE(compare({11.6}, {10}, tolerance).passed());
  EXPECT_FALSE(compare({10}, {8.6}, {0, 0.15, std::nullopt}).passed());
  EXPECT_TRUE(compare({8.6}, {10}, {0, 0.15, std::nullopt}).passed());
}

TEST(Compare, NanAndInfinitiesMustBeInEqualPlaces) {
  const Tolerance loose{1e300, 1, std::nullopt};
  EXPECT_TRUE(compare({kNan, kInfinity, -kInfinity}, {kNan, kInfinity, -kInfinity}, {}).passed());
  for (const auto& [got, want] : std::vector<std::pair<double, double>>{{kNan, 1},
                                                                        {1, kNan},
                                                                        {kInfinity, 1},
                                                                        {1, kInfinity},
                                                                        {kInfinity, -kInfinity},
                                                                        {kNan, kInfinity}}) {
    const Comparison comparison = compare({got}, {want}, loose);
    EXPECT_FALSE(comparison.passed()) << got << " " << want;
    EXPECT_EQ(comparison.nonfinite_mismatches, 1u);
  }
}

TEST(Compare, LargeIntegersAreComparedExactly) {
  const std::vector<int64_t> want = {(int64_t{1} << 62) + 1, std::numeric_limits<int64_t>::min()};
  std::vector<int64_t> got = want;
  EXPECT_TRUE(compare_on_host(got.data(), want.data(), Dtype::i64, 2, {}).passed());
  got[0] -= 1;  // the same double
  EXPECT_EQ(compare_on_host(got.data(), want.data(), Dtype::i64, 2, {}).mismatches, 1u);
  got[1] = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(compare_on_host(got.data(), want.data(), Dtype::i64, 2, {}).mismatches, 2u);
}

TEST(Compare, ABooleanIsZeroOrOne) {
  const std::vector<uint8_t> want = {1}, got = {2};
  EXPECT_FALSE(compare_on_host(got.data(), want.data(), Dtype::boolean, 1, {}).passed());
}

TEST(Compare, ReportsFirstWorstAndMargin) {
  const Comparison comparison =
      compare({1, 2.5, 3, 9, 5}, {1, 2, 3, 4, 5}, {0.25, 0, std::nullopt});
  EXPECT_EQ(comparison.mismatches, 2u);
  EXPECT_EQ(comparison.first->index, 1u);
  EXPECT_EQ(comparison.worst->index, 3u);
  EXPECT_DOUBLE_EQ(comparison.max_absolute, 5);
  EXPECT_DOUBLE_EQ(comparison.max_bound_ratio, 20);
  EXPECT_DOUBLE_EQ(compare({1.1}, {1}, {0.2, 0, std::nullopt}).max_bound_ratio, 0.5);
}

TEST(Compare, BoundsTheWholeByItsFrobeniusNorm) {
  const Comparison comparison = compare({1.1, 1.1}, {1, 1}, {1, 0, 0.05});
  EXPECT_NEAR(comparison.rel_frobenius, 0.1, 1e-12);
  EXPECT_EQ(comparison.mismatches, 0u);
  EXPECT_FALSE(comparison.passed());
}

TEST(Compare, SumsBeyondTheRangeOfDoublesDoNotPass) {
  const Tolerance tolerance{1e200, 0, 1e-3};
  EXPECT_FALSE(compare({1e180}, {-1e180}, tolerance).passed());
  EXPECT_FALSE(compare({1e180, 1e100}, {1e180, 0}, tolerance).passed());
  EXPECT_TRUE(compare({1e180}, {1e180}, tolerance).passed());
  const double most = std::numeric_limits<double>::max();
  const Comparison comparison = compare({most}, {-most}, tolerance);
  EXPECT_FALSE(comparison.passed());
  for (const double number : {comparison.max_absolute, comparison.max_bound_ratio,
                              comparison.rel_frobenius, comparison.first->absolute})
    EXPECT_TRUE(std::isfinite(number));
}

TEST(Compare, ZeroToleranceIsExactButForTheSignOfZero) {
  EXPECT_TRUE(compare({0.0}, {-0.0}, {}).passed());
  EXPECT_FALSE(compare({std::nextafter(1.0, 2.0)}, {1}, {}).passed());
  EXPECT_FALSE(compare({std::numeric_limits<double>::denorm_min()}, {0}, {}).passed());
}

TEST(Compare, GivesTheSameWithAnyNumberOfThreads) {
  std::vector<float> got(3'000'000), want(3'000'000);
  for (size_t i = 0; i < got.size(); ++i)
    got[i] = want[i] = static_cast<float>(i % 1013) - (i % 1'000'003 == 0 ? 0.5f : 0);
  got[2'999'999] += 4;
  got[1'500'000] += 2;
  for (const int threads : {1, 3, 8}) {
    const Comparison comparison =
        compare_on_host(got.data(), want.data(), Dtype::f32, got.size(), {}, threads);
    EXPECT_EQ(comparison.elements, got.size());
    EXPECT_EQ(comparison.mismatches, 2u);
    EXPECT_EQ(comparison.first->index, 1'500'000u);
    EXPECT_EQ(comparison.max_absolute, 4);
    EXPECT_EQ(hash_on_host(got.data(), 4 * got.size(), 1, threads),
              hash_on_host(got.data(), 4 * got.size(), 1, 1));
  }
}

TEST(Compare, DoesNotDependOnHowWorkIsSplit) {
  std::vector<double> got(1 << 20), want(1 << 20);
  for (size_t i = 0; i < got.size(); ++i) got[i] = want[i] = static_cast<double>(i);
  got[777'777] += 3;
  got[12] += 1;
  const Comparison comparison = compare(got, want, {});
  EXPECT_EQ(comparison.mismatches, 2u);
  EXPECT_EQ(comparison.first->index, 12u);
}

TEST(Poison, IsNanForFloatsAndDiffersBetweenPhasesEverywhere) {
  for (int d = 0; d < kDtypeCount; ++d) {
    const auto dtype = static_cast<Dtype>(d);
    for (uint64_t i = 0; i < 4096; ++i) {
      const uint64_t even = poison_bits(dtype, i, 100), odd = poison_bits(dtype, i, 101);
      ASSERT_NE(even, odd) << name(dtype) << " element " << i;
      for (const uint64_t bits : {even, odd}) {
        uint64_t storage = 0;
        store_bits(dtype, &storage, 0, bits);
        ASSERT_EQ(load_bits(dtype, &storage, 0), bits) << name(dtype);
        ASSERT_EQ(is_floating(dtype), std::isnan(to_double(dtype, &storage))) << name(dtype);
        ASSERT_TRUE(dtype != Dtype::boolean || bits > 1);
      }
    }
  }
}

TEST(RedZone, CountsChangedBytes) {
  std::vector<char> zone(kRedZoneBytes);
  write_red_zone_on_host(zone.data(), 5);
  EXPECT_EQ(check_red_zone_on_host(zone.data(), 5), 0u);
  zone[17] = static_cast<char>(zone[17] + 1);
  EXPECT_EQ(check_red_zone_on_host(zone.data(), 5), 1u);
  EXPECT_GT(check_red_zone_on_host(zone.data(), 6), 3000u);
}

TEST(Hash, DependsOnItsKey) {
  const std::vector<uint64_t> words = {1, 2, 3};
  EXPECT_NE(hash_on_host(words.data(), 24, 1), hash_on_host(words.data(), 24, 2));
}

TEST(Hash, SeesEveryByteAndItsPlace) {
  std::vector<char> bytes(1003, 'x');
  const uint64_t before = hash_on_host(bytes.data(), bytes.size());
  for (const size_t place : {size_t{0}, size_t{500}, size_t{1002}}) {
    bytes[place] = 'y';
    EXPECT_NE(hash_on_host(bytes.data(), bytes.size()), before);
    bytes[place] = 'x';
  }
  std::vector<uint64_t> words = {1, 2};
  const uint64_t forward = hash_on_host(words.data(), 16);
  std::swap(words[0], words[1]);
  EXPECT_NE(hash_on_host(words.data(), 16), forward);
}

}  // namespace
}  // namespace assay::trusted
