#include "evaluator/check/diagnosis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "evaluator/check/trusted.h"

namespace assay {
namespace {

/// An f32 output of 24 x 40 random numbers, for tests to get wrong.
class DiagnosisTest : public testing::Test {
 protected:
  static constexpr size_t kRows = 24, kColumns = 40;

  DiagnosisTest() {
    tensor_.name = "y";
    tensor_.dtype = Dtype::f32;
    tensor_.shape = {kRows, kColumns};
    tensor_.elements = kRows * kColumns;
    tensor_.tolerance = {0, 1e-5, std::nullopt};
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < tensor_.elements; ++i) want_.push_back(normal(random));
    got_ = want_;
  }

  template <typename Wrong>
  void get_wrong(const Wrong& wrong) {
    for (size_t row = 0; row < kRows; ++row)
      for (size_t column = 0; column < kColumns; ++column)
        got_[row * kColumns + column] = wrong(row, column);
  }

  float want(size_t row, size_t column) const { return want_[row * kColumns + column]; }

  std::string hint() const {
    return diagnose(tensor_, bytes(got_), bytes(want_),
                    trusted::compare_on_host(got_.data(), want_.data(), Dtype::f32, got_.size(),
                                             tensor_.tolerance));
  }

  bool says(const std::string& text) const {
    const bool found = hint().find(text) != std::string::npos;
    if (!found) ADD_FAILURE() << "it says: " << hint();
    return found;
  }

  static std::string bytes(const std::vector<float>& values) {
    std::string result(values.size() * sizeof(float), '\0');
    std::memcpy(result.data(), values.data(), result.size());
    return result;
  }

  BoundTensor tensor_;
  std::vector<float> want_, got_;
};

TEST_F(DiagnosisTest, ARightOutputHasNoHint) { EXPECT_EQ(hint(), ""); }

TEST_F(DiagnosisTest, RecognisesConstants) {
  get_wrong([](size_t, size_t) { return 0.0f; });
  EXPECT_TRUE(says("every element is zero"));
  get_wrong([](size_t, size_t) { return 3.0f; });
  EXPECT_TRUE(says("every element has the same value"));
  get_wrong([](size_t, size_t) { return std::nanf(""); });
  EXPECT_TRUE(says("every element is NaN"));
}

TEST_F(DiagnosisTest, CountsNanAndInfinity) {
  got_[7] = std::nanf("");
  got_[9] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(says("2 of them are NaN or infinite"));
}

TEST_F(DiagnosisTest, RecognisesATransposedOutput) {
  for (size_t row = 0; row < kRows; ++row)
    for (size_t column = 0; column < kColumns; ++column)
      got_[column * kRows + row] = want(row, column);
  EXPECT_TRUE(says("transposed"));
}

TEST_F(DiagnosisTest, RecognisesShiftedRows) {
  get_wrong([&](size_t row, size_t column) { return column == 0 ? 0 : want(row, column - 1); });
  EXPECT_TRUE(says("shifted by one element towards its end"));
  get_wrong([&](size_t row, size_t column) {
    return column + 1 == kColumns ? 0 : want(row, column + 1);
  });
  EXPECT_TRUE(says("shifted by one element towards its start"));
}

TEST_F(DiagnosisTest, RecognisesAFactor) {
  get_wrong([&](size_t row, size_t column) { return 3 * want(row, column); });
  EXPECT_TRUE(says("about 3 times"));
  get_wrong([&](size_t row, size_t column) { return -want(row, column); });
  EXPECT_TRUE(says("wrong sign"));
}

TEST_F(DiagnosisTest, RecognisesAWrongTail) {
  got_.back() += 1;
  EXPECT_TRUE(says("only the last element"));
  for (size_t i = 900; i < got_.size(); ++i) got_[i] += 1 + static_cast<float>(i % 7);
  EXPECT_TRUE(says("is the tail left out?"));
}

TEST_F(DiagnosisTest, FindsTheRegionOfErrors) {
  get_wrong([&](size_t row, size_t column) {
    const bool wrong = column >= 32;
    return want(row, column) + (wrong ? 1 + static_cast<float>(row) : 0);
  });
  EXPECT_TRUE(says("all wrong elements lie at [*, 32..39]"));
  get_wrong([&](size_t row, size_t column) {
    return want(row, column) + (row == 4 ? 1 + static_cast<float>(column) : 0);
  });
  EXPECT_TRUE(says("all wrong elements lie at [4, *]"));
}

TEST_F(DiagnosisTest, FindsStripes) {
  get_wrong([&](size_t row, size_t column) {
    return want(row, column) + (column % 16 == 3 ? 1 + static_cast<float>(row) : 0);
  });
  EXPECT_TRUE(says("3 modulo 16"));
}

TEST_F(DiagnosisTest, SmallErrorsLookLikePrecision) {
  std::mt19937 random(2);
  for (float& value : got_) value *= 1 + 3e-5f * static_cast<float>(random() % 10);
  EXPECT_TRUE(says("too low a precision"));
}

TEST_F(DiagnosisTest, OtherwiseSaysWhetherEverythingIsWrong) {
  std::mt19937 random(3);
  for (float& value : got_) value += 1 + static_cast<float>(random() % 1000);
  EXPECT_EQ(hint(), "every element is wrong");
  got_ = want_;
  for (size_t i = 0; i < got_.size(); ++i)
    if (random() % 3 == 0) got_[i] += 100;
  EXPECT_EQ(hint(), "");
}

TEST_F(DiagnosisTest, SurvivesEveryDtypeAndShape) {
  for (int d = 0; d < kDtypeCount; ++d)
    for (const std::vector<uint64_t>& shape :
         {std::vector<uint64_t>{}, {1}, {2}, {7}, {1, 9}, {9, 1}, {2, 3, 4}}) {
      BoundTensor tensor;
      tensor.dtype = static_cast<Dtype>(d);
      tensor.shape = shape;
      tensor.elements = 1;
      for (const uint64_t extent : shape) tensor.elements *= extent;
      std::mt19937 random(4);
      std::string got(tensor.bytes(), '\0'), want(tensor.bytes(), '\0');
      for (int round = 0; round < 20; ++round) {
        for (char& byte : got) byte = static_cast<char>(random());
        for (char& byte : want) byte = static_cast<char>(random() % (round % 2 == 0 ? 2 : 256));
        diagnose(tensor, got, want,
                 trusted::compare_on_host(got.data(), want.data(), tensor.dtype, tensor.elements,
                                          tensor.tolerance));
      }
    }
}

}  // namespace
}  // namespace assay
