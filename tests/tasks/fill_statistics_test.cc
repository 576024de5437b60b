// Element-wise kinds: do the numbers have the distribution they claim? Seeds are fixed, so these
// tests cannot fail by chance; bounds are about five standard errors wide.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "fill_helpers.h"
#include "tasks/fill_element.h"

namespace assay {
namespace {

constexpr uint64_t kCount = 1 << 18;

struct Moments {
  double mean = 0, variance = 0, skewness = 0, kurtosis = 0;
};

Moments moments_of(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  Moments m;
  m.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double third = 0, fourth = 0;
  for (const double v : values) {
    const double d = v - m.mean;
    m.variance += d * d / n;
    third += d * d * d / n;
    fourth += d * d * d * d / n;
  }
  m.skewness = third / std::pow(m.variance, 1.5);
  m.kurtosis = fourth / (m.variance * m.variance);
  return m;
}

double correlation(const std::vector<double>& values, size_t lag) {
  const Moments m = moments_of(values);
  double sum = 0;
  for (size_t i = 0; i + lag < values.size(); ++i)
    sum += (values[i] - m.mean) * (values[i + lag] - m.mean);
  return sum / (static_cast<double>(values.size() - lag) * m.variance);
}

/// The largest distance between the empirical distribution and `cdf` (Kolmogorov, Smirnov).
template <typename Cdf>
double distance(std::vector<double> values, Cdf cdf) {
  std::sort(values.begin(), values.end());
  const double n = static_cast<double>(values.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double at = cdf(values[i]);
    worst = std::max({worst, std::abs(at - static_cast<double>(i) / n),
                      std::abs(at - static_cast<double>(i + 1) / n)});
  }
  return worst;
}

/// A distance above this has a probability below 1e-5 for kCount draws.
constexpr double kDistanceLimit = 5e-3;

TEST(FillStatistics, NormalHasItsMomentsAndDistribution) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::normal, Dtype::f64, kCount, {{"mean", 3}, {"stddev", 2}}));
  const Moments m = moments_of(values);
  EXPECT_NEAR(m.mean, 3, 0.02);
  EXPECT_NEAR(m.variance, 4, 0.06);
  EXPECT_NEAR(m.skewness, 0, 0.025);
  EXPECT_NEAR(m.kurtosis, 3, 0.05);
  EXPECT_LT(distance(values, [](double x) { return std::erfc(-(x - 3) / 2 / std::sqrt(2)) / 2; }),
            kDistanceLimit);
  for (const size_t lag : {1u, 2u, 3u, 4u, 8u}) EXPECT_NEAR(correlation(values, lag), 0, 0.01);
}

TEST(FillStatistics, NormalReachesItsTails) {
  const std::vector<double> values = values_of(fill_of(FillKind::normal, Dtype::f64, 1 << 22));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_LT(*low, -4.5);
  EXPECT_GT(*high, 4.5);
  const auto beyond =
      std::count_if(values.begin(), values.end(), [](double v) { return std::abs(v) > 4; });
  EXPECT_NEAR(static_cast<double>(beyond), 265, 80);  // 2 * 3.167e-5 of 2^22
}

TEST(FillStatistics, UniformHasItsDistributionAndRange) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const std::vector<double> values =
        values_of(fill_of(FillKind::uniform, dtype, kCount, {{"low", -1}, {"high", 3}}));
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    EXPECT_GE(*low, -1);
    EXPECT_LT(*high, 3);
    EXPECT_LT(distance(values, [](double x) { return (x + 1) / 4; }), kDistanceLimit);
    EXPECT_NEAR(correlation(values, 1), 0, 0.01);
  }
}

TEST(FillStatistics, UniformOfF64UsesItsLowBits) {
  const std::vector<double> values = values_of(fill_of(FillKind::uniform, Dtype::f64, 1000));
  int odd = 0;
  for (const double v : values) odd += std::fmod(v * 0x1p53, 2) != 0;
  EXPECT_NEAR(odd, 500, 80);
}

TEST(FillStatistics, RandintHitsEveryIntegerEquallyOften) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::randint, Dtype::i32, kCount, {{"low", -5}, {"high", 6}}));
  std::map<double, int> counts;
  for (const double v : values) ++counts[v];
  ASSERT_EQ(counts.size(), 11u);
  EXPECT_EQ(counts.begin()->first, -5);
  for (const auto& [value, count] : counts) EXPECT_NEAR(count, kCount / 11.0, 800) << value;
}

TEST(FillStatistics, RandintCoversWideRanges) {
  const Fill full = fill_of(FillKind::randint, Dtype::u32, kCount, {{"low", 0}, {"high", 0x1p32}});
  EXPECT_LT(distance(values_of(full), [](double x) { return (x + 1) / 0x1p32; }), kDistanceLimit);
  const Fill wide =
      fill_of(FillKind::randint, Dtype::i64, kCount, {{"low", -0x1p52}, {"high", 0x1p52}});
  const std::vector<double> values = values_of(wide);
  EXPECT_LT(distance(values, [](double x) { return (x + 0x1p52) / 0x1p53; }), kDistanceLimit);
  int odd = 0;
  for (size_t i = 0; i < 1000; ++i) odd += std::fmod(values[i], 2) != 0;
  EXPECT_NEAR(odd, 500, 80);
}

TEST(FillStatistics, HighProductIsThatOf128BitArithmetic) {
  uint64_t x = 0x9e3779b97f4a7c15;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t y = x * 0xd1342543de82ef95 + 1;
    __extension__ using Wide = unsigned __int128;
    EXPECT_EQ(fills::high_product(x, y), static_cast<uint64_t>((Wide{x} * y) >> 64));
    x = y ^ (y >> 29);
  }
  EXPECT_EQ(fills::high_product(~uint64_t{0}, ~uint64_t{0}), ~uint64_t{0} - 1);
}

TEST(FillStatistics, BernoulliHasItsProbability) {
  for (const double p : {0.0, 0.01, 0.5, 1.0}) {
    const std::vector<double> values =
        values_of(fill_of(FillKind::bernoulli, Dtype::u8, kCount, {{"p", p}, {"value", 3}}));
    EXPECT_NEAR(moments_of(values).mean, 3 * p, 0.016) << p;
    for (const double v : values) ASSERT_TRUE(v == 0 || v == 3);
    if (p == 0.0 || p == 1.0) {
      EXPECT_EQ(moments_of(values).mean, 3 * p);
    }
  }
}

TEST(FillStatistics, OutliersAreAsManyAndAsLargeAsAskedFor) {
  const std::vector<double> plain = values_of(fill_of(FillKind::normal, Dtype::f64, kCount));
  const std::vector<double> values = values_of(
      fill_of(FillKind::outliers, Dtype::f64, kCount, {{"fraction", 0.01}, {"scale", 1000}}));
  double outliers = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == plain[i]) continue;
    ASSERT_EQ(values[i], plain[i] * 1000);
    outliers += 1;
  }
  EXPECT_NEAR(outliers, 0.01 * kCount, 260);
}

TEST(FillStatistics, LogUniformIsUniformInItsLogarithm) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::log_uniform, Dtype::f64, kCount, {{"low", 0.01}, {"high", 100}}));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*low, 0.01);
  EXPECT_LE(*high, 100);
  EXPECT_LT(distance(values, [](double x) { return std::log(x / 0.01) / std::log(1e4); }),
            kDistanceLimit);
}

TEST(FillStatistics, SignedLogUniformHasBothSigns) {
  const std::vector<double> values = values_of(
      fill_of(FillKind::log_uniform, Dtype::f32, kCount, {{"low", 1}, {"high", 2}, {"signed", 1}}));
  const auto negative = std::count_if(values.begin(), values.end(), [](double v) { return v < 0; });
  EXPECT_NEAR(static_cast<double>(negative), kCount / 2.0, 1300);
  for (const double v : values) ASSERT_TRUE(std::abs(v) >= 1 && std::abs(v) <= 2);
}

TEST(FillStatistics, ExponentialAndHalfNormalHaveTheirDistributions) {
  EXPECT_LT(distance(values_of(fill_of(FillKind::exponential, Dtype::f64, kCount, {{"mean", 2}})),
                     [](double x) { return 1 - std::exp(-x / 2); }),
            kDistanceLimit);
  EXPECT_LT(distance(values_of(fill_of(FillKind::half_normal, Dtype::f64, kCount, {{"stddev", 2}})),
                     [](double x) { return std::erf(x / 2 / std::sqrt(2)); }),
            kDistanceLimit);
}

TEST(FillStatistics, ZipfFollowsItsLaw) {
  for (const double exponent : {0.0, 1.0, 1.00001, 1.1, 2.5})
    for (const double size : {1.0, 2.0, 50257.0}) {
      const std::vector<double> values = values_of(
          fill_of(FillKind::zipf, Dtype::i32, kCount, {{"high", size}, {"exponent", exponent}}));
      double norm = 0;
      for (double k = 1; k <= size; ++k) norm += std::pow(k, -exponent);
      std::map<double, double> counts;
      for (const double v : values) counts[v] += 1;
      EXPECT_GE(counts.begin()->first, 0);
      EXPECT_LT(counts.rbegin()->first, size);
      for (double k = 0; k < std::min(size, 10.0); ++k) {
        const double expected = kCount * std::pow(k + 1, -exponent) / norm;
        EXPECT_NEAR(counts[k], expected, 5 * std::sqrt(expected) + 1) << exponent << " " << k;
      }
    }
}

TEST(FillStatistics, StratifiedRowsAreSortedWithOneElementInEachPart) {
  const std::vector<double> values = values_of(
      fill_of(FillKind::stratified, Dtype::f64, 100 * 50, {{"low", -1}, {"high", 4}, {"row", 50}}));
  for (size_t i = 0; i < values.size(); ++i) {
    const double j = static_cast<double>(i % 50);
    ASSERT_GE(values[i], -1 + j * 0.1 - 1e-12);
    ASSERT_LE(values[i], -1 + (j + 1) * 0.1 + 1e-12);
  }
  const std::vector<double> keys =
      values_of(fill_of(FillKind::stratified, Dtype::i32, 1000, {{"low", 100}, {"high", 0}}));
  EXPECT_TRUE(std::is_sorted(keys.rbegin(), keys.rend()));
  EXPECT_GE(keys.back(), 0);
  EXPECT_LT(keys.front(), 100);
}

TEST(FillStatistics, ArangeRestartsInEachRow) {
  EXPECT_EQ(
      values_of(fill_of(FillKind::arange, Dtype::i32, 6, {{"start", 2}, {"step", 3}, {"row", 3}})),
      (std::vector<double>{2, 5, 8, 2, 5, 8}));
}

TEST(FillStatistics, OneHotRowsHaveOneOneAtAUniformPlace) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::one_hot, Dtype::f32, 7 * 10000, {{"row", 7}, {"value", 2}}));
  std::vector<double> counts(7);
  for (size_t row = 0; row < 10000; ++row) {
    double sum = 0;
    for (size_t j = 0; j < 7; ++j) {
      sum += values[row * 7 + j];
      counts[j] += values[row * 7 + j] / 2;
    }
    ASSERT_EQ(sum, 2);
  }
  for (const double count : counts) EXPECT_NEAR(count, 10000 / 7.0, 180);
}

TEST(FillStatistics, PackedBitsAreFairAndKeepToTheirWidth) {
  const Fill fill = fill_of(FillKind::packed_bits, Dtype::u32, kCount);
  std::vector<double> ones(32);
  for (const double value : values_of(fill))
    for (size_t bit = 0; bit < 32; ++bit) ones[bit] += (static_cast<uint32_t>(value) >> bit) & 1;
  for (const double count : ones) EXPECT_NEAR(count, kCount / 2.0, 1300);
  // Ten fields of three bits: the two bits above them stay zero.
  for (const double value :
       values_of(fill_of(FillKind::packed_bits, Dtype::u32, 1000, {{"bits", 3}})))
    ASSERT_LT(value, 0x1p30);
}

TEST(FillStatistics, PackedFieldsStayInTheirRange) {
  const std::vector<double> words =
      values_of(fill_of(FillKind::packed_bits, Dtype::u32, 20000, {{"bits", 2}, {"high", 3}}));
  std::vector<double> counts(4);
  for (const double word : words)
    for (int field = 0; field < 16; ++field)
      counts[(static_cast<uint32_t>(word) >> (2 * field)) & 3] += 1;
  EXPECT_EQ(counts[3], 0);
  for (int code = 0; code < 3; ++code)
    EXPECT_NEAR(counts[static_cast<size_t>(code)], 320000 / 3.0, 1500);
}

TEST(FillStatistics, PackedBitsOfFloatsIncludeNanPatterns) {
  const std::vector<double> values = values_of(fill_of(FillKind::packed_bits, Dtype::bf16, 100000));
  EXPECT_GT(std::count_if(values.begin(), values.end(), [](double v) { return std::isnan(v); }),
            300);
  const Fill wide = fill_of(FillKind::packed_bits, Dtype::i64, 1000);
  const std::vector<char> bytes = bytes_of(wide, {1, 0});
  EXPECT_NE(std::count(bytes.begin(), bytes.end(), 0), 8000 / 2);
}

TEST(FillStatistics, PermutationsAreBijectionsForEverySize) {
  for (uint64_t size = 1; size < 300; ++size) {
    std::vector<double> values = values_of(fill_of(FillKind::permutation, Dtype::i32, size));
    std::sort(values.begin(), values.end());
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(values[i], static_cast<double>(i)) << size;
  }
}

TEST(FillStatistics, EveryPermutationOfFewElementsAppearsEquallyOften) {
  for (const uint64_t size : {2u, 3u, 4u, 5u}) {
    const uint64_t rows = 60000;
    const std::vector<double> values = values_of(fill_of(
        FillKind::permutation, Dtype::i32, rows * size, {{"row", static_cast<double>(size)}}));
    std::map<std::vector<double>, double> counts;
    for (uint64_t row = 0; row < rows; ++row) {
      const auto begin = values.begin() + static_cast<long>(row * size);
      counts[std::vector<double>(begin, begin + static_cast<long>(size))] += 1;
    }
    double factorial = 1;
    for (uint64_t i = 2; i <= size; ++i) factorial *= static_cast<double>(i);
    ASSERT_EQ(static_cast<double>(counts.size()), factorial);
    const double expected = static_cast<double>(rows) / factorial;
    for (const auto& [permutation, count] : counts)
      EXPECT_NEAR(count, expected, 5 * std::sqrt(expected)) << size;
  }
}

TEST(FillStatistics, LargePermutationsMoveElementsFar) {
  const std::vector<double> values = values_of(fill_of(FillKind::permutation, Dtype::i32, 100000));
  double moved = 0, fixed = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    moved += std::abs(values[i] - static_cast<double>(i));
    fixed += values[i] == static_cast<double>(i);
  }
  EXPECT_NEAR(moved / 1e5, 1e5 / 3, 500);  // the mean of |x - y| of independent places
  EXPECT_LT(fixed, 8);
}

TEST(FillStatistics, PermutationPrefixesAreDistinct) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::permutation, Dtype::i64, 50 * 20, {{"row", 20}, {"high", 1000}}));
  for (size_t row = 0; row < 50; ++row) {
    const auto begin = values.begin() + static_cast<long>(20 * row);
    const std::set<double> distinct(begin, begin + 20);
    EXPECT_EQ(distinct.size(), 20u);
    EXPECT_LT(*distinct.rbegin(), 1000);
  }
}

}  // namespace
}  // namespace assay
