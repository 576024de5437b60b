#include "tasks/expression.h"

#include <gtest/gtest.h>

#include <cmath>

namespace assay {
namespace {

Expressions sample() {
  Expressions expressions;
  expressions.define("rows", 3);
  expressions.define("cols", 17);
  expressions.define("N", 1000);
  return expressions;
}

double value(const char* text) {
  const Result<double> result = sample().evaluate(text);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? *result : NAN;
}

std::string complaint(const std::string& text) {
  const Result<double> result = sample().evaluate(text);
  EXPECT_FALSE(result.ok()) << text;
  return result.ok() ? "" : result.error().message;
}

void expect_complaint(const std::string& text, const std::string& says) {
  const std::string message = complaint(text);
  EXPECT_NE(message.find(says), std::string::npos) << message;
}

TEST(Expression, ComputesWithSymbols) {
  EXPECT_EQ(value("rows * cols"), 51);
  EXPECT_EQ(value("2 * rows + cols - 1"), 22);
  EXPECT_EQ(value("N / 8"), 125);
  EXPECT_EQ(value("N % cols"), 14);
  EXPECT_EQ(value("2 ^ 10"), 1024);
  EXPECT_EQ(value("-rows"), -3);
  EXPECT_EQ(value("1e3"), 1000);
}

TEST(Expression, HasIntegerHelpers) {
  EXPECT_EQ(value("ceil_div(N, 32)"), 32);
  EXPECT_EQ(value("ceil_div(1024, 32)"), 32);
  EXPECT_EQ(value("ceil_div(1, 32)"), 1);
  EXPECT_EQ(value("align(cols, 16)"), 32);
  EXPECT_EQ(value("align(32, 16)"), 32);
  EXPECT_EQ(value("min(rows, cols, 5)"), 3);
  EXPECT_EQ(value("max(rows, cols)"), 17);
  EXPECT_EQ(value("floor(cols / 2)"), 8);
  EXPECT_EQ(value("floor(-0.5)"), -1);
  EXPECT_EQ(value("ceil(cols / 2)"), 9);
  EXPECT_EQ(value("round(cols / 2)"), 9);
  EXPECT_EQ(value("log2(1024)"), 10);
  EXPECT_EQ(value("sqrt(16)"), 4);
}

TEST(Expression, HasConditions) {
  EXPECT_EQ(value("rows < cols ? 1 : 2"), 1);
  EXPECT_EQ(value("rows == 3 && cols != 3"), 1);
  EXPECT_EQ(value("rows > 5 || N >= 1000 ? 7 : 8"), 7);
}

TEST(Expression, PercentBindsLikeTimes) {
  EXPECT_EQ(value("1 + N % 7"), 1 + 1000 % 7);
  EXPECT_EQ(value("20 % 7 * 2"), 12);
}

TEST(Expression, UnknownSymbolsAreNamedWithTheirPosition) {
  expect_complaint("rows * colz", "position 8");
  expect_complaint("rows * colz", "unknown symbol \"colz\"");
  expect_complaint("rows * colz", "defined are: N, cols, rows");
  expect_complaint("rows * colz", "did you mean cols?");
}

TEST(Expression, SyntaxErrorsSayWhereTheyAre) {
  expect_complaint("rows +", "ends too early");
  expect_complaint("", "empty");
  expect_complaint("   ", "empty");
  expect_complaint("(rows", "closing parenthesis");
  expect_complaint("rows)", "unexpected \")\"");
  expect_complaint("rows * * cols", "unexpected \"*");
  expect_complaint("rows cols", "unexpected \"cols\"");
  expect_complaint("rows; cols", "position 5: the character \";\" is not allowed");
  expect_complaint("rows, cols", "several values");
  expect_complaint("max()", "too few");
  expect_complaint("floor(1, 2)", "too many");
}

TEST(Expression, CannotAssign) { expect_complaint("rows = 4", "unexpected \"="); }

TEST(Expression, ResultsMustBeFinite) {
  expect_complaint("1 / 0", "not a finite number");
  expect_complaint("sqrt(-1)", "not a finite number");
  expect_complaint("rows % 0", "division by zero");
  expect_complaint("ceil_div(rows, 0)", "divisor above zero");
  expect_complaint("10 ^ 1000", "not a finite number");
  EXPECT_TRUE(std::isinf(*sample().evaluate("-inf", true)));
  EXPECT_TRUE(std::isnan(*sample().evaluate("nan", true)));
}

TEST(Expression, LongAndDeepExpressionsAreRefused) {
  expect_complaint(std::string(501, '1'), "longer than 500");
  expect_complaint(std::string(100, '(') + "1" + std::string(100, ')'), "nested");
}

TEST(Expression, SizesAreWholeAndNotNegative) {
  EXPECT_EQ(*sample().evaluate_size("rows * cols"), 51u);
  EXPECT_EQ(*sample().evaluate_size("0"), 0u);
  const auto says = [](const char* text) { return sample().evaluate_size(text).error().message; };
  EXPECT_EQ(says("cols / 2"), "\"cols / 2\": is 8.5, but must be a whole number");
  EXPECT_NE(says("rows - cols").find("between 0 and 2^53"), std::string::npos);
  EXPECT_NE(says("10 ^ 20").find("between 0 and 2^53"), std::string::npos);
}

TEST(Expression, SymbolNamesAreWordsThatMeanNothingElse) {
  for (const char* name : {"n", "rows", "K", "head_dim", "w1"})
    EXPECT_TRUE(Expressions::is_symbol(name)) << name;
  for (const char* name :
       {"", "1n", "_n", "a-b", "min", "sin", "pi", "inf", "ceil_div", "a b", "ä"})
    EXPECT_FALSE(Expressions::is_symbol(name)) << name;
  EXPECT_FALSE(Expressions::is_symbol(std::string(65, 'a')));
}

TEST(Expression, SymbolsMayContainNamesOfFunctions) {
  Expressions expressions;
  expressions.define("min_length", 5);
  expressions.define("e", 2);
  EXPECT_EQ(*expressions.evaluate("min_length * e"), 10);
}

}  // namespace
}  // namespace assay
