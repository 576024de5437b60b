// Properties that all fills share: determinism, independence, modifiers, limits of parameters.
#include "tasks/fill.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/digest.h"
#include "fill_helpers.h"
#include "tasks/fill_element.h"

namespace assay {
namespace {

/// Reasonable parameters for every kind, with rows of 16 where the kind has rows.
std::map<std::string, double> sample_parameters(FillKind kind) {
  switch (kind) {
    case FillKind::constant:
      return {{"value", 3}};
    case FillKind::randint:
      return {{"low", -5}, {"high", 6}};
    case FillKind::permutation:
      return {{"row", 16}};
    case FillKind::cumulative_lengths:
      return {{"total", 90}, {"row", 16}};
    case FillKind::lengths:
      return {{"total", 90}, {"row", 16}};
    case FillKind::segment_ids:
      return {{"segments", 5}, {"row", 16}};
    case FillKind::sorted_unique:
      return {{"high", 100}, {"row", 16}};
    case FillKind::log_uniform:
      return {{"low", 0.1}, {"high", 10}, {"signed", 1}};
    case FillKind::one_hot:
    case FillKind::unit_rows:
    case FillKind::softmax_rows:
      return {{"row", 16}};
    case FillKind::zipf:
      return {{"high", 100}};
    case FillKind::scaled_rows:
      return {{"low", 0.1}, {"high", 10}, {"row", 16}};
    default:
      return {};
  }
}

bool is_random(FillKind kind) { return kind != FillKind::constant && kind != FillKind::arange; }

/// Which dtype every kind can make.
Fill sample(FillKind kind, uint64_t elements, uint32_t ordinal = 0) {
  return fill_of(kind, kind == FillKind::packed_bits ? Dtype::u32 : Dtype::f32, elements,
                 sample_parameters(kind), ordinal);
}

TEST(Fill, TableNamesEveryKindOnce) {
  ASSERT_EQ(fill_kinds().size(), static_cast<size_t>(kFillKindCount));
  for (size_t i = 0; i < fill_kinds().size(); ++i) {
    EXPECT_EQ(static_cast<size_t>(fill_kinds()[i].kind), i);
    EXPECT_EQ(fill_kind_from_name(fill_kinds()[i].name), fill_kinds()[i].kind);
  }
}

TEST(Fill, SameKeyGivesSameBytesAndAnotherKeyOthers) {
  for (const FillKindInfo& kind : fill_kinds()) {
    const Fill fill = sample(kind.kind, 1600);
    const std::vector<char> bytes = bytes_of(fill, {1, 0});
    EXPECT_EQ(bytes, bytes_of(fill, {1, 0})) << kind.name;
    if (!is_random(kind.kind)) continue;
    EXPECT_NE(bytes, bytes_of(fill, {2, 0})) << kind.name;
    EXPECT_NE(bytes, bytes_of(fill, {uint64_t{1} << 32 | 1, 0})) << kind.name;
    EXPECT_NE(bytes, bytes_of(fill, {1, 1})) << kind.name << ": generation";
    EXPECT_NE(bytes, bytes_of(sample(kind.kind, 1600, 1), {1, 0})) << kind.name << ": ordinal";
  }
}

TEST(Fill, NumberOfThreadsDoesNotChangeTheBytes) {
  for (const FillKindInfo& kind : fill_kinds()) {
    const Fill fill = sample(kind.kind, 140'000);
    const std::vector<char> one = bytes_of(fill, {7, 3}, 1);
    EXPECT_EQ(one, bytes_of(fill, {7, 3}, 3)) << kind.name;
    EXPECT_EQ(one, bytes_of(fill, {7, 3}, 0)) << kind.name;
  }
}

TEST(Fill, FastLoopsGiveTheBytesOfTheGeneralOne) {
  for (const FillKind kind : {FillKind::normal, FillKind::uniform, FillKind::randint})
    for (int i = 0; i < kDtypeCount; ++i) {
      const auto dtype = static_cast<Dtype>(i);
      if (dtype == Dtype::boolean) continue;
      const auto values = kind == FillKind::randint
                              ? std::map<std::string, double>{{"low", 0}, {"high", 9}}
                              : std::map<std::string, double>{};
      const Fill fill = fill_of(kind, dtype, 1001, values);
      std::vector<char> expected(fill.elements * size_bytes(dtype));
      for (uint64_t unit = 0; unit < fills::unit_count(fill); ++unit)
        fills::fill_unit(fill, {5, 0}, unit, expected.data());
      EXPECT_EQ(bytes_of(fill, {5, 0}), expected) << name(kind) << " " << name(dtype);
    }
}

TEST(Fill, AShorterTensorIsAPrefixOfALongerOne) {
  for (const FillKind kind : {FillKind::normal, FillKind::uniform, FillKind::zipf,
                              FillKind::outliers, FillKind::bernoulli, FillKind::exponential}) {
    const std::vector<double> shorter = values_of(sample(kind, 101));
    std::vector<double> longer = values_of(sample(kind, 1001));
    longer.resize(101);
    EXPECT_EQ(shorter, longer) << name(kind);
  }
}

TEST(Fill, WritesNothingBehindTheLastElement) {
  for (const FillKindInfo& kind : fill_kinds()) {
    const uint64_t elements = sample_parameters(kind.kind).contains("row") ? 48 : 49;
    const Fill fill = sample(kind.kind, elements);
    std::vector<char> bytes(elements * 4 + 64, '\x5a');
    fill_on_host(fill, {1, 0}, bytes.data());
    EXPECT_EQ(std::count(bytes.end() - 64, bytes.end(), '\x5a'), 64) << kind.name;
  }
}

TEST(Fill, AnEmptyTensorIsFilled) {
  Fill fill = fill_of(FillKind::normal, Dtype::f32, 0);
  fill_on_host(fill, {1, 0}, nullptr);
  EXPECT_EQ(fills::unit_count(fill), 0u);
}

TEST(Fill, ValuesAreRoundedOnceFromTheSameDoubles) {
  const std::vector<double> exact = values_of(fill_of(FillKind::normal, Dtype::f64, 4096));
  for (const Dtype dtype : {Dtype::f32, Dtype::tf32, Dtype::f16, Dtype::bf16, Dtype::e4m3,
                            Dtype::e5m2, Dtype::i32, Dtype::i8}) {
    const std::vector<double> values = values_of(fill_of(FillKind::normal, dtype, 4096));
    for (size_t i = 0; i < exact.size(); ++i)
      ASSERT_EQ(values[i], rounded(dtype, exact[i])) << name(dtype) << " " << i;
  }
}

TEST(Fill, LargeFiniteValuesSaturateInsteadOfOverflowing) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::e4m3, Dtype::e5m2})
    for (const double value :
         values_of(fill_of(FillKind::normal, dtype, 1000, {{"stddev", 1e300}})))
      EXPECT_EQ(std::abs(value), largest(dtype)) << name(dtype);
}

TEST(Fill, InfinityAndNanAppearWhenAskedFor) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double v :
       values_of(fill_of(FillKind::constant, Dtype::f16, 9, {{"value", -infinity}})))
    EXPECT_EQ(v, -infinity);
  const std::vector<double> some = values_of(
      fill_of(FillKind::normal, Dtype::f32, 10000, {{"replace", 0.5}, {"with", std::nan("")}}));
  EXPECT_NEAR(static_cast<double>(
                  std::count_if(some.begin(), some.end(), [](double v) { return std::isnan(v); })),
              5000, 250);
}

TEST(Fill, ReplaceLeavesTheOtherElementsAsTheyAre) {
  const std::vector<double> plain = values_of(fill_of(FillKind::normal, Dtype::f32, 10000));
  const std::vector<double> masked =
      values_of(fill_of(FillKind::normal, Dtype::f32, 10000, {{"replace", 0.1}, {"with", 7}}));
  int replaced = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (masked[i] == 7)
      ++replaced;
    else
      ASSERT_EQ(masked[i], plain[i]);
  }
  EXPECT_NEAR(replaced, 1000, 150);
}

TEST(Fill, ReplaceRowTakesWholeRows) {
  const std::vector<double> values =
      values_of(fill_of(FillKind::normal, Dtype::f32, 100 * 33,
                        {{"replace", 0.3}, {"with", 0}, {"replace_row", 33}}));
  int zero_rows = 0;
  for (size_t row = 0; row < 100; ++row) {
    const auto begin = values.begin() + static_cast<long>(row * 33);
    const long zeros = std::count(begin, begin + 33, 0.0);
    ASSERT_TRUE(zeros == 0 || zeros == 33);
    zero_rows += zeros == 33;
  }
  EXPECT_NEAR(zero_rows, 30, 15);
}

TEST(Fill, GridRoundsToMultiples) {
  for (const double value :
       values_of(fill_of(FillKind::normal, Dtype::f32, 1000, {{"grid", 0.125}})))
    EXPECT_EQ(value * 8, std::nearbyint(value * 8));
}

TEST(Fill, TensorsThatShareAnOrdinalShareTheirValues) {
  std::vector<double> longer = values_of(fill_of(FillKind::normal, Dtype::f32, 1000, {}, 3));
  longer.resize(10);
  EXPECT_EQ(values_of(fill_of(FillKind::normal, Dtype::f32, 10, {}, 3)), longer);
}

/// The first 16 hexadecimal digits of the SHA-256 of 1600 elements. From the first version of the
/// generator: a change here changes what every recorded seed means.
struct Pinned {
  FillKind kind;
  Dtype dtype;
  const char* digest;
};

const std::vector<Pinned> kPinned = {
    {FillKind::constant, Dtype::f32, "7cd96ee3e18535ef"},
    {FillKind::arange, Dtype::f32, "a40278c60c05618e"},
    {FillKind::normal, Dtype::f32, "4f30c871d2ba7f53"},
    {FillKind::uniform, Dtype::f32, "6555aa1a6ea600eb"},
    {FillKind::randint, Dtype::f32, "c576e8248fb83a91"},
    {FillKind::permutation, Dtype::f32, "8eb903e32d71bf2d"},
    {FillKind::bernoulli, Dtype::f32, "b761e8fb1932ecc9"},
    {FillKind::cumulative_lengths, Dtype::f32, "cd5994f5eed8ee53"},
    {FillKind::sorted_unique, Dtype::f32, "01cb72c61a4e05c0"},
    {FillKind::packed_bits, Dtype::u32, "4f1c5415f530cea7"},
    {FillKind::outliers, Dtype::f32, "4f30c871d2ba7f53"},
    {FillKind::log_uniform, Dtype::f32, "a1f8045dc5928d37"},
    {FillKind::one_hot, Dtype::f32, "51533345a3c0dba2"},
    {FillKind::half_normal, Dtype::f32, "ba55bec27d3c0c52"},
    {FillKind::exponential, Dtype::f32, "7dba9e83ac8e0d0f"},
    {FillKind::zipf, Dtype::f32, "967c3d32b8dd511f"},
    {FillKind::stratified, Dtype::f32, "5bbc7f8f67007cd8"},
    {FillKind::scaled_rows, Dtype::f32, "248f1f1529eff0e0"},
    {FillKind::unit_rows, Dtype::f32, "9e50938207985e2e"},
    {FillKind::softmax_rows, Dtype::f32, "35969276808bf7fa"},
    {FillKind::lengths, Dtype::f32, "6a648c09a2c11226"},
    {FillKind::segment_ids, Dtype::f32, "a3ca4b44f3d36af2"},
    {FillKind::normal, Dtype::f64, "cedd3fa67b62255e"},
    {FillKind::normal, Dtype::tf32, "34d95286a72fc69f"},
    {FillKind::normal, Dtype::f16, "561bad3938033617"},
    {FillKind::normal, Dtype::bf16, "2133400aaef3a7e6"},
    {FillKind::normal, Dtype::e4m3, "b16e6def02d13306"},
    {FillKind::normal, Dtype::e5m2, "6adfa29b613258ae"},
    {FillKind::normal, Dtype::i8, "f0a1b4c6869a0cb4"},
    {FillKind::uniform, Dtype::f64, "3ca8fb1e7e0b0108"},
    {FillKind::uniform, Dtype::f16, "8ec4e18428440419"},
    {FillKind::randint, Dtype::i64, "654820d4952e823e"},
    {FillKind::randint, Dtype::i32, "7f516bd3b8d12652"},
    {FillKind::randint, Dtype::i16, "b6a69690e390c796"},
    {FillKind::bernoulli, Dtype::boolean, "ad3033bc57c17858"},
    {FillKind::packed_bits, Dtype::i64, "a71f12d6c5ed5e01"},
    {FillKind::packed_bits, Dtype::u8, "2cf5a2b80da0d449"},
    {FillKind::packed_bits, Dtype::bf16, "2c7b22a781b10203"},
};

TEST(Fill, PinnedDigestsStayAsTheyAre) {
  for (const Pinned& pinned : kPinned) {
    const Fill fill = fill_of(pinned.kind, pinned.dtype, 1600, sample_parameters(pinned.kind), 2);
    const std::vector<char> bytes = bytes_of(fill, {0x0123456789abcdef, 1});
    EXPECT_EQ(sha256(std::string_view(bytes.data(), bytes.size())).substr(0, 16), pinned.digest)
        << name(pinned.kind) << " " << name(pinned.dtype);
  }
}

TEST(Fill, PinnedValuesStayAsTheyAre) {
  const auto head = [](const Fill& fill) {
    std::vector<double> values = values_of(fill, {0x0123456789abcdef, 1});
    values.resize(3);
    return values;
  };
  using Values = std::vector<double>;
  EXPECT_EQ(head(fill_of(FillKind::uniform, Dtype::f32, 8)),
            (Values{0.8159483671188354, 0.9956595301628113, 0.9065430164337158}));
  EXPECT_EQ(head(fill_of(FillKind::normal, Dtype::f64, 8)),
            (Values{0.6375781152482393, -0.017392238701952334, -0.38452838146834856}));
  EXPECT_EQ(head(fill_of(FillKind::normal, Dtype::bf16, 8)),
            (Values{0.63671875, -0.017333984375, -0.384765625}));
  EXPECT_EQ(head(fill_of(FillKind::randint, Dtype::i64, 8, {{"low", 0}, {"high", 1e15}})),
            (Values{815948391699275, 995659552425965, 906543072010515}));
  EXPECT_EQ(head(fill_of(FillKind::permutation, Dtype::i32, 1000)), (Values{241, 691, 579}));
}

struct Refusal {
  FillKind kind;
  Dtype dtype;
  std::map<std::string, double> values;
  const char* says;
};

TEST(Fill, ParametersOutsideTheirLimitsAreRefusedWithWhatIsAllowed) {
  const double nan = std::nan("");
  const std::vector<Refusal> refusals = {
      {FillKind::constant, Dtype::f32, {}, "needs the parameter value"},
      {FillKind::constant, Dtype::i8, {{"value", 200}}, "i8 can hold"},
      {FillKind::constant, Dtype::f16, {{"value", 1e6}}, "f16 can hold"},
      {FillKind::constant, Dtype::e4m3, {{"value", INFINITY}}, "e4m3 can hold"},
      {FillKind::normal, Dtype::f32, {{"stddev", -1}}, "at least 0"},
      {FillKind::normal, Dtype::f32, {{"mean", nan}}, "finite"},
      {FillKind::normal, Dtype::f32, {{"std", 1}}, "did you mean stddev?"},
      {FillKind::normal, Dtype::boolean, {}, "cannot make bool"},
      {FillKind::normal, Dtype::f32, {{"row", 3}}, "not a parameter of normal"},
      {FillKind::uniform, Dtype::f32, {{"low", 2}, {"high", 1}}, "at least low = 2"},
      {FillKind::randint, Dtype::i32, {{"low", 0}}, "needs the parameter high"},
      {FillKind::randint, Dtype::i32, {{"low", 0}, {"high", 0}}, "above low"},
      {FillKind::randint, Dtype::i32, {{"low", 0.5}, {"high", 2}}, "whole number"},
      {FillKind::randint, Dtype::i32, {{"low", 0}, {"high", 2147483649.0}}, "holds every integer"},
      {FillKind::randint, Dtype::u8, {{"low", -1}, {"high", 3}}, "from 0 to 255"},
      {FillKind::randint, Dtype::bf16, {{"low", 0}, {"high", 300}}, "from -256 to 256"},
      {FillKind::permutation, Dtype::i32, {{"row", 7}}, "must divide the 64 elements"},
      {FillKind::permutation, Dtype::i32, {{"row", 8}, {"high", 7}}, "at least row = 8"},
      {FillKind::permutation, Dtype::e4m3, {}, "holds every integer exactly"},
      {FillKind::bernoulli, Dtype::f32, {{"p", 1.5}}, "between 0 and 1"},
      {FillKind::cumulative_lengths, Dtype::i32, {{"total", -3}}, "at least 0"},
      {FillKind::cumulative_lengths, Dtype::i32, {{"total", 10}, {"min", 1}}, "do not fit into 10"},
      {FillKind::cumulative_lengths,
       Dtype::i32,
       {{"total", 10}, {"row", 1}},
       "there is no segment"},
      {FillKind::cumulative_lengths, Dtype::i32, {{"total", 10}, {"grid", 1}}, "not a parameter"},
      {FillKind::sorted_unique, Dtype::i32, {{"high", 63}}, "at least low + row = 64"},
      {FillKind::packed_bits, Dtype::u8, {{"bits", 9}}, "1 ... 8 for u8"},
      {FillKind::packed_bits, Dtype::u8, {{"bits", 2}, {"high", 5}}, "at most 2^bits = 4"},
      {FillKind::outliers, Dtype::f32, {{"fraction", 2}}, "between 0 and 1"},
      {FillKind::log_uniform, Dtype::f32, {{"low", 0}, {"high", 1}}, "above 0"},
      {FillKind::one_hot, Dtype::f32, {}, "needs the parameter row"},
      {FillKind::one_hot, Dtype::f32, {{"row", 0}}, "at least 1"},
      {FillKind::one_hot, Dtype::f32, {{"row", nan}}, "at least 1"},
      {FillKind::zipf, Dtype::i32, {{"high", 0}}, "between 1 and 2^32"},
      {FillKind::zipf, Dtype::i32, {{"high", 10}, {"exponent", -1}}, "between 0 and 20"},
      {FillKind::softmax_rows, Dtype::f32, {{"row", 8}, {"stddev", 99}}, "between 0 and 50"},
      {FillKind::arange, Dtype::i8, {{"step", 3}}, "holds every integer"},
      {FillKind::normal, Dtype::f32, {{"grid", 0}}, "above 0"},
      {FillKind::normal, Dtype::f32, {{"replace", -0.1}}, "between 0 and 1"},
      {FillKind::normal, Dtype::f32, {{"replace_row", 0}}, "at least 1"},
      {FillKind::normal, Dtype::i32, {{"replace", 1}, {"with", 0.5}}, "i32 can hold"},
  };
  for (const Refusal& refusal : refusals) {
    const Result<Fill> fill = make_fill(refusal.kind, refusal.dtype, 64, 0, refusal.values);
    ASSERT_FALSE(fill.ok()) << name(refusal.kind) << ": " << refusal.says;
    EXPECT_NE(fill.error().message.find(refusal.says), std::string::npos) << fill.error().message;
  }
}

}  // namespace
}  // namespace assay
