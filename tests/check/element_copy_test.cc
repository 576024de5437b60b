// Conversions between element types, and the way through two views.
#include "evaluator/check/element_copy.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace assay::trusted {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class To, class From>
To converted(Dtype to, Dtype from, From value) {
  To result{};
  convert_element(to, &result, 0, from, &value, 0);
  return result;
}

TEST(ElementCopy, WholeNumbersKeepTheirLowBits) {
  EXPECT_EQ((converted<int8_t>(Dtype::i8, Dtype::i32, 300)), 44);
  EXPECT_EQ((converted<uint8_t>(Dtype::u8, Dtype::i16, int16_t{-1})), 255);
  EXPECT_EQ((converted<int64_t>(Dtype::i64, Dtype::i8, int8_t{-5})), -5);
  EXPECT_EQ((converted<int64_t>(Dtype::i64, Dtype::u32, 0xffffffffu)), 0xffffffff);
  EXPECT_EQ((converted<int32_t>(Dtype::i32, Dtype::boolean, uint8_t{1})), 1);
}

TEST(ElementCopy, FloatingNumbersAreCutTowardZero) {
  EXPECT_EQ((converted<int32_t>(Dtype::i32, Dtype::f32, 2.9f)), 2);
  EXPECT_EQ((converted<int32_t>(Dtype::i32, Dtype::f32, -2.9f)), -2);
  EXPECT_EQ((converted<int64_t>(Dtype::i64, Dtype::f64, -4503599627370497.0)), -4503599627370497);
  EXPECT_EQ((converted<int8_t>(Dtype::i8, Dtype::f32, 1e9f)), 127);
  EXPECT_EQ((converted<int32_t>(Dtype::i32, Dtype::f64, std::nan(""))), 0);
}

TEST(ElementCopy, ABooleanIsWhetherItIsNotZero) {
  EXPECT_EQ((converted<uint8_t>(Dtype::boolean, Dtype::f32, 0.25f)), 1);
  EXPECT_EQ((converted<uint8_t>(Dtype::boolean, Dtype::f32, -0.0f)), 0);
  EXPECT_EQ((converted<uint8_t>(Dtype::boolean, Dtype::f64, std::nan(""))), 1);
  EXPECT_EQ((converted<uint8_t>(Dtype::boolean, Dtype::i32, 256)), 1);
  EXPECT_EQ((converted<float>(Dtype::f32, Dtype::boolean, uint8_t{1})), 1);
}

TEST(ElementCopy, NarrowTypesRoundOnceMoreByWayOfF32) {
  EXPECT_EQ((converted<uint16_t>(Dtype::f16, Dtype::f32, 1.0f)), 0x3c00);
  EXPECT_EQ((converted<uint16_t>(Dtype::f16, Dtype::f32, 65520.0f)), 0x7c00);
  EXPECT_EQ((converted<uint16_t>(Dtype::bf16, Dtype::f32, 1.00390625f)), 0x3f80);  // a tie: to even
  // 1 + 2^-8 + 2^-40 is above the tie; in f32 it is the tie.
  EXPECT_EQ((converted<uint16_t>(Dtype::bf16, Dtype::f64, 1.0 + 0x1p-8 + 0x1p-40)), 0x3f80);
  EXPECT_EQ((converted<float>(Dtype::f32, Dtype::i64, int64_t{16777217})), 16777216.0f);
  EXPECT_EQ((converted<double>(Dtype::f64, Dtype::i64, int64_t{16777217})), 16777217.0);
  EXPECT_EQ((converted<uint8_t>(Dtype::e5m2, Dtype::f32, 1e9f)), 0x7c);
  EXPECT_EQ((converted<uint8_t>(Dtype::e4m3, Dtype::f32, 1e9f) & 0x7f), 0x7f);
  EXPECT_EQ((converted<float>(Dtype::f32, Dtype::e4m3, uint8_t{0x38})), 1.0f);
  EXPECT_EQ((converted<float>(Dtype::f32, Dtype::f64, kInfinity)), INFINITY);
}

TEST(ElementCopy, ElementsOfTheSameTypeKeepAllBits) {
  const uint32_t payload = 0x7fa12345;  // a signalling NaN
  EXPECT_EQ((converted<uint32_t>(Dtype::f32, Dtype::f32, payload)), payload);
}

ElementGrid make_grid(std::vector<uint64_t> shape, std::vector<uint64_t> target,
                      std::vector<uint64_t> source) {
  ElementGrid grid{Dtype::i32, Dtype::i16};
  grid.rank = static_cast<uint32_t>(shape.size());
  std::ranges::copy(shape, grid.shape);
  std::ranges::copy(target, grid.target_strides);
  std::ranges::copy(source, grid.source_strides);
  return grid;
}

std::array<int32_t, 24> copied(const ElementGrid& grid) {
  std::array<int16_t, 24> source;
  for (int16_t i = 0; i < 24; ++i) source[static_cast<size_t>(i)] = i;
  std::array<int32_t, 24> target{};
  for (uint64_t i = 0; i < grid.count(); ++i) copy_element(grid, target.data(), source.data(), i);
  return target;
}

TEST(ElementCopy, StepsThroughBothViews) {
  const auto transposed = copied(make_grid({2, 3}, {3, 1}, {1, 2}));
  EXPECT_EQ(std::vector<int32_t>(transposed.begin(), transposed.begin() + 7),
            (std::vector<int32_t>{0, 2, 4, 1, 3, 5, 0}));
  const auto repeated = copied(make_grid({2, 2}, {2, 1}, {0, 5}));
  EXPECT_EQ(std::vector<int32_t>(repeated.begin(), repeated.begin() + 4),
            (std::vector<int32_t>{0, 5, 0, 5}));
  EXPECT_EQ(copied(make_grid({}, {}, {}))[0], 0);
}

TEST(ElementCopy, TheFewestAxesNameTheSameElements) {
  struct Wanted {
    ElementGrid grid;
    uint32_t rank;
  };
  const std::vector<Wanted> cases = {{make_grid({2, 3, 4}, {12, 4, 1}, {12, 4, 1}), 1},
                                     {make_grid({2, 3, 4}, {12, 4, 1}, {4, 8, 1}), 3},
                                     {make_grid({2, 3, 4}, {12, 4, 1}, {1, 8, 2}), 2},
                                     {make_grid({6, 1, 4}, {4, 9, 1}, {0, 9, 0}), 1},
                                     {make_grid({1, 1}, {7, 1}, {5, 1}), 0},
                                     {make_grid({4, 6}, {1, 4}, {6, 1}), 2}};
  for (const auto& [grid, rank] : cases) {
    const ElementGrid fewest = with_fewest_axes(grid);
    EXPECT_EQ(fewest.rank, rank);
    EXPECT_EQ(fewest.count(), grid.count());
    EXPECT_EQ(copied(fewest), copied(grid));
  }
}

}  // namespace
}  // namespace assay::trusted
