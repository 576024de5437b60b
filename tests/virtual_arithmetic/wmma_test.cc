#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "evaluator/device/virtual/mma_wmma.h"
#include "tests/virtual_arithmetic/oracle.h"

namespace assay::virtual_gpu {
namespace {

using Words = std::vector<std::array<uint32_t, 32>>;

LaneWords* pointer(Words& words) { return reinterpret_cast<LaneWords*>(words.data()); }

/// A matrix in memory of elements of `bits`, with a leading dimension.
struct Memory {
  int bits;
  std::vector<uint64_t> elements;
};

/// What wmma.load does with wmma_element().
Words load(const WmmaOperation& operation, MmaMatrix matrix, bool row_major, uint64_t stride,
           const Memory& memory) {
  Words words(static_cast<size_t>(register_count(operation, matrix)));
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < element_count(operation, matrix); ++i) {
      const WmmaElement at = wmma_element(operation, matrix, row_major, stride, lane, i);
      const uint64_t value = memory.elements.at(at.offset_elements);
      words.at(at.word)[static_cast<size_t>(lane)] |= static_cast<uint32_t>(value) << at.shift;
      if (memory.bits == 64) {
        words.at(at.word + 1u)[static_cast<size_t>(lane)] = static_cast<uint32_t>(value >> 32);
      }
    }
  }
  return words;
}

void store(const WmmaOperation& operation, bool row_major, uint64_t stride, const Words& words,
           Memory& memory) {
  const uint64_t mask = memory.bits == 64 ? ~uint64_t{0} : (uint64_t{1} << memory.bits) - 1;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < element_count(operation, MmaMatrix::d); ++i) {
      const WmmaElement at = wmma_element(operation, MmaMatrix::d, row_major, stride, lane, i);
      uint64_t value = words.at(at.word)[static_cast<size_t>(lane)] >> at.shift;
      if (memory.bits == 64) {
        value |= uint64_t{words.at(at.word + 1u)[static_cast<size_t>(lane)]} << 32;
      }
      memory.elements.at(at.offset_elements) = value & mask;
    }
  }
}

uint64_t encoded(MmaType type, double value) {
  switch (type) {
    case MmaType::f16:
      return to_register(convert<F16>(value));
    case MmaType::bf16:
      return to_register(convert<BF16>(value));
    case MmaType::tf32:
    case MmaType::f32:
      return to_register(static_cast<float>(value));
    case MmaType::f64:
      return to_register(value);
    case MmaType::s32:
      return to_register(static_cast<int32_t>(value));
    default:
      return static_cast<uint64_t>(static_cast<int64_t>(value)) &
             ((uint64_t{1} << element_bits(type)) - 1);
  }
}

/// Small integers are exact in every type, so the product must be exact too.
void expect_product(const WmmaOperation& operation) {
  SCOPED_TRACE(testing::Message() << "m" << operation.m << "n" << operation.n << "k" << operation.k
                                  << " a " << static_cast<int>(operation.a) << " d "
                                  << static_cast<int>(operation.d));
  ASSERT_TRUE(supported(operation));
  std::mt19937 random(23);
  const int least =
      operation.a == MmaType::u8 || operation.a == MmaType::u4 || operation.a == MmaType::b1 ? 0
                                                                                             : -4;
  const int most = operation.a == MmaType::b1 ? 1 : 4;
  std::uniform_int_distribution<int> draw(least, most);
  const auto [m, n, k] = std::array{operation.m, operation.n, operation.k};
  const auto filled = [&](int rows, int columns, bool row_major, MmaType type,
                          std::vector<int>& values, uint64_t stride) {
    Memory memory{element_bits(type), std::vector<uint64_t>(stride * 64, 0)};
    for (int row = 0; row < rows; ++row) {
      for (int column = 0; column < columns; ++column) {
        values.push_back(draw(random));
        const uint64_t at = row_major ? static_cast<uint64_t>(row) * stride + column
                                      : static_cast<uint64_t>(column) * stride + row;
        memory.elements[at] = encoded(type, values.back());
      }
    }
    return memory;
  };
  std::vector<int> va, vb, vc;
  const uint64_t stride = 256;
  Memory a = filled(m, k, operation.a_row, operation.a, va, stride);
  Memory b = filled(k, n, operation.b_row, operation.b, vb, stride);
  Memory c = filled(m, n, true, operation.c, vc, stride);
  Words wa = load(operation, MmaMatrix::a, operation.a_row, stride, a);
  Words wb = load(operation, MmaMatrix::b, operation.b_row, stride, b);
  Words wc = load(operation, MmaMatrix::c, true, stride, c);
  Words wd(static_cast<size_t>(register_count(operation, MmaMatrix::d)));
  wmma(operation, pointer(wa), pointer(wb), pointer(wc), pointer(wd));
  Memory d{element_bits(operation.d), std::vector<uint64_t>(stride * 64, 0xabab)};
  store(operation, false, stride, wd, d);
  for (int row = 0; row < m; ++row) {
    for (int column = 0; column < n; ++column) {
      int want = vc[static_cast<size_t>(row * n + column)];
      for (int i = 0; i < k; ++i) {
        const int x = va[static_cast<size_t>(row * k + i)];
        const int y = vb[static_cast<size_t>(i * n + column)];
        want += operation.a == MmaType::b1 ? x ^ y : x * y;
      }
      ASSERT_EQ(d.elements[static_cast<uint64_t>(column) * stride + row],
                encoded(operation.d, want))
          << row << ", " << column;
    }
  }
}

TEST(Wmma, LoadsMultipliesAndStoresEveryShape) {
  using enum MmaType;
  const int shapes[][3] = {{16, 16, 16}, {32, 8, 16}, {8, 32, 16}};
  for (const auto& [m, n, k] : shapes) {
    for (const bool a_row : {false, true}) {
      for (const bool b_row : {false, true}) {
        for (const MmaType sum : {f16, f32}) {
          expect_product({m, n, k, sum, f16, f16, f32, a_row, b_row});
          expect_product({m, n, k, f32, f16, f16, sum, a_row, b_row});
        }
        expect_product({m, n, k, f32, bf16, bf16, f32, a_row, b_row});
        expect_product({m, n, k, s32, s8, s8, s32, a_row, b_row});
        expect_product({m, n, k, s32, u8, u8, s32, a_row, b_row});
      }
    }
  }
  for (const bool a_row : {false, true}) {
    expect_product({16, 16, 8, f32, tf32, tf32, f32, a_row, !a_row});
    expect_product({8, 8, 4, f64, f64, f64, f64, a_row, a_row});
  }
  expect_product({8, 8, 32, s32, s4, s4, s32, true, false});
  expect_product({8, 8, 32, s32, u4, u4, s32, true, false});
  expect_product({8, 8, 128, s32, b1, b1, s32, true, false});
}

TEST(Wmma, HasTheRegisterCountsOfTheInstruction) {
  using enum MmaType;
  const auto counts = [](const WmmaOperation& operation) {
    return std::array{register_count(operation, MmaMatrix::a),
                      register_count(operation, MmaMatrix::b),
                      register_count(operation, MmaMatrix::c)};
  };
  EXPECT_EQ(counts({16, 16, 16, f32, f16, f16, f32}), (std::array{8, 8, 8}));
  EXPECT_EQ(counts({16, 16, 16, f16, f16, f16, f16}), (std::array{8, 8, 4}));
  EXPECT_EQ(counts({32, 8, 16, f16, f16, f16, f16}), (std::array{8, 8, 4}));
  EXPECT_EQ(counts({16, 16, 16, f32, bf16, bf16, f32}), (std::array{4, 4, 8}));
  EXPECT_EQ(counts({32, 8, 16, f32, bf16, bf16, f32}), (std::array{8, 2, 8}));
  EXPECT_EQ(counts({8, 32, 16, f32, bf16, bf16, f32}), (std::array{2, 8, 8}));
  EXPECT_EQ(counts({16, 16, 16, s32, s8, s8, s32}), (std::array{2, 2, 8}));
  EXPECT_EQ(counts({32, 8, 16, s32, u8, u8, s32}), (std::array{4, 1, 8}));
  EXPECT_EQ(counts({16, 16, 8, f32, tf32, tf32, f32}), (std::array{4, 4, 8}));
  EXPECT_EQ(counts({8, 8, 4, f64, f64, f64, f64}), (std::array{2, 2, 4}));
  EXPECT_EQ(counts({8, 8, 32, s32, s4, s4, s32}), (std::array{1, 1, 2}));
}

/// What lanes of an H200 held after loading matrices whose elements count 0, 1, 2, ... by rows.
TEST(Wmma, LaysFragmentsOutAsAnH200Does) {
  using enum MmaType;
  struct Row {
    WmmaOperation operation;
    MmaMatrix matrix;
    uint64_t stride;
    int lane;
    std::vector<uint64_t> elements;
  };
  const WmmaOperation square{16, 16, 16, f32, f16, f16, f32};
  const WmmaOperation tall{32, 8, 16, f32, f16, f16, f32};
  const WmmaOperation flat{8, 32, 16, f32, f16, f16, f32};
  const Row rows[] = {
      {square,
       MmaMatrix::a,
       16,
       5,
       {18, 19, 146, 147, 26, 27, 154, 155, 18, 19, 146, 147, 26, 27, 154, 155}},
      {square,
       MmaMatrix::b,
       16,
       1,
       {32, 48, 160, 176, 40, 56, 168, 184, 32, 48, 160, 176, 40, 56, 168, 184}},
      {square, MmaMatrix::c, 16, 31, {118, 119, 246, 247, 126, 127, 254, 255}},
      {tall,
       MmaMatrix::a,
       16,
       4,
       {16, 17, 144, 145, 24, 25, 152, 153, 272, 273, 400, 401, 280, 281, 408, 409}},
      {tall, MmaMatrix::b, 8, 5, {17, 25, 81, 89, 17, 25, 81, 89, 17, 25, 81, 89, 17, 25, 81, 89}},
      {tall, MmaMatrix::c, 8, 1, {2, 3, 66, 67, 130, 131, 194, 195}},
      {flat, MmaMatrix::a, 16, 4, {16, 17, 24, 25, 16, 17, 24, 25, 16, 17, 24, 25, 16, 17, 24, 25}},
      {flat,
       MmaMatrix::b,
       32,
       5,
       {65, 97, 73, 105, 321, 353, 329, 361, 81, 113, 89, 121, 337, 369, 345, 377}},
      {flat, MmaMatrix::c, 32, 31, {199, 231, 207, 239, 215, 247, 223, 255}},
      {{16, 16, 8, f32, tf32, tf32, f32}, MmaMatrix::a, 8, 31, {59, 123, 63, 127}},
      {{16, 16, 8, f32, tf32, tf32, f32}, MmaMatrix::b, 16, 5, {17, 81, 25, 89}},
      {{16, 16, 16, s32, s8, s8, s32}, MmaMatrix::b, 16, 1, {64, 80, 96, 112, 72, 88, 104, 120}},
      {{8, 8, 4, f64, f64, f64, f64}, MmaMatrix::b, 8, 5, {9}},
  };
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.elements.size(); ++i) {
      EXPECT_EQ(
          wmma_element(row.operation, row.matrix, true, row.stride, row.lane, static_cast<int>(i))
              .offset_elements,
          row.elements[i])
          << row.operation.m << " lane " << row.lane << " element " << i;
    }
  }
}

TEST(Wmma, RefusesCombinationsThatDoNotExist) {
  using enum MmaType;
  EXPECT_FALSE(supported(WmmaOperation{16, 16, 8, f32, f16, f16, f32}));
  EXPECT_FALSE(supported(WmmaOperation{16, 16, 16, f32, f16, bf16, f32}));
  EXPECT_FALSE(supported(WmmaOperation{8, 8, 32, s32, s4, s4, s32, true, true}));
}

}  // namespace
}  // namespace assay::virtual_gpu
