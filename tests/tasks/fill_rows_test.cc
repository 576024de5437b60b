// Kinds that are computed row by row: offsets, lengths, ids, subsets, normalised rows.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "fill_helpers.h"

namespace assay {
namespace {

using Values = std::map<std::string, double>;

/// Differences of neighbours.
std::vector<double> differences(const std::vector<double>& values) {
  std::vector<double> result(values.size());
  std::adjacent_difference(values.begin(), values.end(), result.begin());
  result.erase(result.begin());
  return result;
}

/// Lengths of the segments of one row of offsets.
std::vector<double> lengths_of(uint64_t segments, Values values, uint64_t seed = 42) {
  return differences(values_of(
      fill_of(FillKind::cumulative_lengths, Dtype::i32, segments + 1, values), {seed, 0}));
}

TEST(CumulativeLengths, StartAtZeroNeverFallAndEndAtTheTotal) {
  for (const uint64_t segments : {1u, 2u, 3u, 37u, 1000u})
    for (const double total : {0.0, 1.0, 5.0, 100000.0})
      for (const double skew : {0.0, 1.0, 2.5, 20.0}) {
        const std::vector<double> offsets =
            values_of(fill_of(FillKind::cumulative_lengths, Dtype::i32, segments + 1,
                              {{"total", total}, {"skew", skew}}));
        EXPECT_EQ(offsets.front(), 0);
        EXPECT_EQ(offsets.back(), total);
        EXPECT_TRUE(std::is_sorted(offsets.begin(), offsets.end()));
      }
}

TEST(CumulativeLengths, EverySegmentHasTheMinimumLength) {
  const std::vector<double> lengths = lengths_of(100, {{"total", 450}, {"min", 4}, {"skew", 3}});
  EXPECT_GE(*std::min_element(lengths.begin(), lengths.end()), 4);
  EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), 0.0), 450);
  for (const double length : lengths_of(10, {{"total", 40}, {"min", 4}})) EXPECT_EQ(length, 4);
}

TEST(CumulativeLengths, SkewZeroSplitsEvenly) {
  for (const double length : lengths_of(7, {{"total", 72}, {"skew", 0}}))
    EXPECT_TRUE(length == 10 || length == 11);
}

TEST(CumulativeLengths, SkewOneGivesUniformLengths) {
  std::vector<double> lengths = lengths_of(10000, {{"total", 10'000'000}});
  std::sort(lengths.begin(), lengths.end());
  EXPECT_NEAR(lengths[1000], 200, 20);  // uniform in 0 ... 2000
  EXPECT_NEAR(lengths[5000], 1000, 40);
  EXPECT_NEAR(lengths[9000], 1800, 40);
}

TEST(CumulativeLengths, LargeSkewGivesFewLongSegments) {
  std::vector<double> lengths = lengths_of(1000, {{"total", 1'000'000}, {"skew", 8}});
  std::sort(lengths.begin(), lengths.end());
  EXPECT_LT(lengths[500], 100);
  EXPECT_GT(lengths[999], 5000);
}

TEST(CumulativeLengths, AsManySegmentsAreEmptyAsAskedFor) {
  const auto empties = [](uint64_t segments, double share, uint64_t seed) {
    const std::vector<double> lengths =
        lengths_of(segments, {{"total", 1e6}, {"skew", 0}, {"empty", share}}, seed);
    return std::count(lengths.begin(), lengths.end(), 0.0);
  };
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(empties(100, 0.25, seed), 25);
    EXPECT_EQ(empties(3, 0.01, seed), 1);  // at least one
    EXPECT_EQ(empties(3, 1, seed), 2);     // never all
    EXPECT_EQ(empties(1, 0.5, seed), 0);
  }
}

TEST(CumulativeLengths, EmptySegmentsLieAnywhere) {
  std::vector<double> counts(5);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const std::vector<double> lengths =
        lengths_of(5, {{"total", 1000}, {"skew", 0}, {"empty", 0.4}}, seed);
    for (size_t j = 0; j < 5; ++j) counts[j] += lengths[j] == 0;
  }
  for (const double count : counts) EXPECT_NEAR(count, 400, 80);
}

TEST(CumulativeLengths, TheLongestSegmentGetsItsShare) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<double> lengths =
        lengths_of(100, {{"total", 100000}, {"longest", 0.2}, {"empty", 0.1}}, seed);
    EXPECT_EQ(*std::max_element(lengths.begin(), lengths.end()), 20000);
    EXPECT_EQ(std::count(lengths.begin(), lengths.end(), 0.0), 10);
    EXPECT_EQ(std::accumulate(lengths.begin(), lengths.end(), 0.0), 100000);
  }
  const std::vector<double> all = lengths_of(10, {{"total", 50}, {"longest", 1}});
  EXPECT_EQ(std::count(all.begin(), all.end(), 50.0), 1);
  EXPECT_EQ(lengths_of(2, {{"total", 9}, {"longest", 0.5}, {"empty", 1}}),
            lengths_of(2, {{"total", 9}, {"longest", 1}}));
}

TEST(CumulativeLengths, LengthsAndSegmentIdsAgreeWithTheOffsets) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const FillKey key{seed, 0};
    const Values shape = {{"min", 1}, {"skew", 3}, {"empty", 0.2}, {"longest", 0.3}};
    Values offsets = shape, lengths = shape, ids = shape;
    offsets["total"] = lengths["total"] = 500;
    ids["segments"] = 30;
    const std::vector<double> x =
        values_of(fill_of(FillKind::cumulative_lengths, Dtype::i32, 31, offsets, 4), key);
    EXPECT_EQ(values_of(fill_of(FillKind::lengths, Dtype::i64, 30, lengths, 4), key),
              differences(x));
    const std::vector<double> id =
        values_of(fill_of(FillKind::segment_ids, Dtype::i32, 500, ids, 4), key);
    for (size_t t = 0; t < 500; ++t) {
      const size_t segment = static_cast<size_t>(id[t]);
      ASSERT_LE(x[segment], static_cast<double>(t));
      ASSERT_GT(x[segment + 1], static_cast<double>(t));
    }
  }
}

TEST(CumulativeLengths, RowsAreIndependent) {
  const std::vector<double> values = values_of(
      fill_of(FillKind::cumulative_lengths, Dtype::i32, 4 * 11, {{"total", 100}, {"row", 11}}));
  for (size_t row = 0; row < 4; ++row) {
    EXPECT_EQ(values[row * 11], 0);
    EXPECT_EQ(values[row * 11 + 10], 100);
  }
  EXPECT_FALSE(std::equal(values.begin(), values.begin() + 11, values.begin() + 11));
}

TEST(SortedUnique, RowsAreStrictlyIncreasingWithinTheirRange) {
  for (const double high : {20.0, 21.0, 100.0, 1e6}) {
    const std::vector<double> values = values_of(fill_of(
        FillKind::sorted_unique, Dtype::i32, 50 * 16, {{"low", 4}, {"high", high}, {"row", 16}}));
    for (size_t row = 0; row < 50; ++row) {
      EXPECT_GE(values[row * 16], 4);
      EXPECT_LT(values[row * 16 + 15], high);
      for (size_t j = 1; j < 16; ++j) ASSERT_LT(values[row * 16 + j - 1], values[row * 16 + j]);
    }
  }
}

/// How often each number of [0, high) is in one of `rows` subsets of `row` numbers.
std::vector<double> subset_counts(uint64_t rows, uint64_t row, double high) {
  std::vector<double> counts(static_cast<size_t>(high));
  for (const double v : values_of(fill_of(FillKind::sorted_unique, Dtype::i32, rows * row,
                                          {{"high", high}, {"row", static_cast<double>(row)}})))
    counts[static_cast<size_t>(v)] += 1;
  return counts;
}

TEST(SortedUnique, NumbersAreChosenEquallyOften) {
  for (const double count : subset_counts(40000, 3, 10)) EXPECT_NEAR(count, 12000, 500);
  for (const double count : subset_counts(40000, 9, 10)) EXPECT_NEAR(count, 36000, 320);
  for (const double count : subset_counts(20000, 20, 1000)) EXPECT_NEAR(count, 400, 100);
  for (const double count : subset_counts(20000, 1, 50)) EXPECT_NEAR(count, 400, 100);
}

TEST(SortedUnique, EverySubsetAppearsEquallyOften) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::sorted_unique, Dtype::i32, 60000 * 3, {{"high", 6}, {"row", 3}}));
  std::map<std::vector<double>, double> counts;
  for (size_t row = 0; row < 60000; ++row)
    counts[{values[row * 3], values[row * 3 + 1], values[row * 3 + 2]}] += 1;
  ASSERT_EQ(counts.size(), 20u);
  for (const auto& [subset, count] : counts) EXPECT_NEAR(count, 3000, 270);
}

TEST(SortedUnique, NeighboursOccurAsOftenInSparseSubsetsAsChanceSays) {
  // 1000 of 100000: a number's successor is a member too with probability 999 / 99999.
  const std::vector<double> values = values_of(
      fill_of(FillKind::sorted_unique, Dtype::i32, 100 * 1000, {{"high", 1e5}, {"row", 1000}}));
  double neighbours = 0;
  for (size_t i = 1; i < values.size(); ++i) neighbours += values[i] == values[i - 1] + 1;
  EXPECT_NEAR(neighbours, 1000, 160);
}

TEST(UnitRows, HaveLengthOneAndNoPreferredDirection) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::unit_rows, Dtype::f64, 10000 * 5, {{"row", 5}}));
  double mean = 0;
  for (size_t row = 0; row < 10000; ++row) {
    double sum = 0;
    for (size_t j = 0; j < 5; ++j) sum += values[row * 5 + j] * values[row * 5 + j];
    ASSERT_NEAR(sum, 1, 1e-14);
    mean += values[row * 5] / 1e4;
  }
  EXPECT_NEAR(mean, 0, 0.025);
}

TEST(SoftmaxRows, SumToOneAndTheirLogarithmsMatch) {
  const Values values = {{"row", 40}, {"stddev", 3}};
  Values log_values = values;
  log_values["log"] = 1;
  const std::vector<double> p =
      values_of(fill_of(FillKind::softmax_rows, Dtype::f64, 4000, values));
  const std::vector<double> log_p =
      values_of(fill_of(FillKind::softmax_rows, Dtype::f64, 4000, log_values));
  for (size_t row = 0; row < 100; ++row)
    EXPECT_NEAR(std::accumulate(p.begin() + static_cast<long>(row * 40),
                                p.begin() + static_cast<long>(row * 40 + 40), 0.0),
                1, 1e-13);
  for (size_t i = 0; i < p.size(); ++i) ASSERT_NEAR(std::log(p[i]), log_p[i], 1e-12);
}

TEST(ScaledRows, HaveOneFactorEach) {
  const std::vector<double> plain = values_of(fill_of(FillKind::normal, Dtype::f64, 1000));
  const std::vector<double> scaled = values_of(fill_of(
      FillKind::scaled_rows, Dtype::f64, 1000, {{"row", 10}, {"low", 0.01}, {"high", 100}}));
  double smallest = 1e9, largest_factor = 0;
  for (size_t row = 0; row < 100; ++row) {
    const double factor = scaled[row * 10] / plain[row * 10];
    for (size_t j = 1; j < 10; ++j)
      ASSERT_NEAR(scaled[row * 10 + j] / plain[row * 10 + j], factor, 1e-12 * factor);
    smallest = std::min(smallest, factor);
    largest_factor = std::max(largest_factor, factor);
  }
  EXPECT_GE(smallest, 0.01 * (1 - 1e-12));
  EXPECT_LT(smallest, 0.05);
  EXPECT_GT(largest_factor, 20);
  EXPECT_LE(largest_factor, 100 * (1 + 1e-12));
}

}  // namespace
}  // namespace assay
