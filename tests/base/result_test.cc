#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace assay {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return Error{ErrorKind::invalid, "odd"};
  return value / 2;
}

Result<int> quarter(int value) {
  ASSIGN_OR_RETURN(const int first, half(value));
  ASSIGN_OR_RETURN(const int second, half(first));
  return second;
}

TEST(Result, CarriesAValueOrTheFirstError) {
  EXPECT_EQ(*quarter(8), 2);
  ASSERT_FALSE(quarter(6).ok());
  EXPECT_EQ(quarter(6).error().message, "odd");
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(3));
  const std::unique_ptr<int> value = *std::move(result);
  EXPECT_EQ(*value, 3);
}

}  // namespace
}  // namespace assay
