#include "evaluator/device/virtual/mma.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "tests/virtual_arithmetic/oracle.h"

namespace assay::virtual_gpu {
namespace {

using Words = std::vector<std::array<uint32_t, 32>>;

LaneWords* pointer(Words& words) { return reinterpret_cast<LaneWords*>(words.data()); }

void put(Words& words, int bits, int lane, int index, uint64_t value) {
  for (int bit = 0; bit < bits; ++bit) {
    const auto at = static_cast<size_t>(index * bits + bit);
    uint32_t& word = words[at / 32][static_cast<size_t>(lane)];
    const uint32_t mask = 1u << (at % 32);
    word = (value >> bit & 1) != 0 ? word | mask : word & ~mask;
  }
}

uint64_t get(const Words& words, int bits, int lane, int index) {
  uint64_t value = 0;
  for (int bit = 0; bit < bits; ++bit) {
    const auto at = static_cast<size_t>(index * bits + bit);
    value |= uint64_t{words[at / 32][static_cast<size_t>(lane)] >> (at % 32) & 1} << bit;
  }
  return value;
}

/// The value of an element, decoded without the code under test where that is easy.
long double decoded(MmaType type, uint64_t bits) {
  const auto signed_table = [&](const oracle::Table& table, int sign_bit) {
    const long double value = table.values()[bits & ((uint64_t{1} << sign_bit) - 1)];
    return (bits >> sign_bit & 1) != 0 ? -value : value;
  };
  switch (type) {
    case MmaType::f16:
      return signed_table(oracle::f16(), 15);
    case MmaType::bf16:
      return signed_table(oracle::bf16(), 15);
    case MmaType::e4m3:
      return signed_table(oracle::e4m3(), 7);
    case MmaType::e5m2:
      return signed_table(oracle::e5m2(), 7);
    case MmaType::tf32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits) & ~0x1fffu);
    case MmaType::f32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case MmaType::f64:
      return std::bit_cast<double>(bits);
    case MmaType::s8:
      return static_cast<int8_t>(bits);
    case MmaType::s4:
      return static_cast<int>(bits ^ 8) - 8;
    case MmaType::s32:
      return static_cast<int32_t>(bits);
    case MmaType::u8:
    case MmaType::u4:
    case MmaType::b1:
      return static_cast<long double>(bits);
  }
  return 0;
}

/// Random bits of a finite, moderate number.
uint64_t random_bits(MmaType type, std::mt19937_64& random) {
  const double x = static_cast<double>(static_cast<int64_t>(random() % 2001) - 1000) / 256;
  switch (type) {
    case MmaType::f16:
      return to_register(convert<F16>(x));
    case MmaType::bf16:
      return to_register(convert<BF16>(x));
    case MmaType::e4m3:
      return to_register(convert<E4M3>(static_cast<float>(x)));
    case MmaType::e5m2:
      return to_register(convert<E5M2>(static_cast<float>(x)));
    case MmaType::tf32:
    case MmaType::f32:
      return to_register(static_cast<float>(x * 1.001));
    case MmaType::f64:
      return to_register(x * 1.0000001);
    case MmaType::s32:
      return random() % 2000000;
    default:
      return random() & ((uint64_t{1} << element_bits(type)) - 1);
  }
}

struct Matrix {
  int columns;
  std::map<std::pair<int, int>, long double> at;
};

/// Fills a fragment with random elements; the matrix as position() says.
Matrix random_matrix(const MmaOperation& operation, MmaMatrix which, MmaType type, Words& words,
                     std::mt19937_64& random) {
  Matrix matrix{};
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < element_count(operation, which); ++i) {
      const uint64_t bits = random_bits(type, random);
      put(words, element_bits(type), lane, i, bits);
      const MatrixPosition p = position(operation, which, lane, i);
      const bool fresh = matrix.at.emplace(std::pair(p.row, p.column), decoded(type, bits)).second;
      EXPECT_TRUE(fresh) << "two owners of " << p.row << ", " << p.column;
    }
  }
  return matrix;
}

Words fragment(const MmaOperation& operation, MmaMatrix which) {
  return Words(static_cast<size_t>(register_count(operation, which)));
}

void expect_product(const MmaOperation& operation) {
  SCOPED_TRACE(testing::Message() << "m" << operation.m << "n" << operation.n << "k" << operation.k
                                  << " a " << static_cast<int>(operation.a) << " b "
                                  << static_cast<int>(operation.b) << " d "
                                  << static_cast<int>(operation.d));
  ASSERT_TRUE(supported(operation));
  std::mt19937_64 random(17);
  Words a = fragment(operation, MmaMatrix::a), b = fragment(operation, MmaMatrix::b);
  Words c = fragment(operation, MmaMatrix::c), d = fragment(operation, MmaMatrix::d);
  Matrix ma = random_matrix(operation, MmaMatrix::a, operation.a, a, random);
  Matrix mb = random_matrix(operation, MmaMatrix::b, operation.b, b, random);
  Matrix mc = random_matrix(operation, MmaMatrix::c, operation.c, c, random);
  ASSERT_EQ(ma.at.size(), static_cast<size_t>(operation.m * operation.k));
  ASSERT_EQ(mb.at.size(), static_cast<size_t>(operation.k * operation.n));
  ASSERT_EQ(mc.at.size(), static_cast<size_t>(operation.m * operation.n));
  mma(operation, pointer(a), pointer(b), pointer(c), pointer(d));
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < element_count(operation, MmaMatrix::d); ++i) {
      const auto [row, column] = position(operation, MmaMatrix::d, lane, i);
      long double want = mc.at[{row, column}];
      for (int k = 0; k < operation.k; ++k) {
        const long double x = ma.at[{row, k}], y = mb.at[{k, column}];
        if (operation.a == MmaType::b1) {
          want += operation.b1_and ? x * y : std::fabs(x - y);
        } else {
          want += x * y;
        }
      }
      const uint64_t bits = get(d, element_bits(operation.d), lane, i);
      if (operation.d == MmaType::f16) {
        ASSERT_EQ(bits & 0x7fff, oracle::f16().magnitude_code(want, Rounding::rn));
        ASSERT_EQ(bits >> 15, want < 0);
      } else if (operation.d == MmaType::f32) {
        ASSERT_EQ(decoded(operation.d, bits), static_cast<long double>(static_cast<float>(want)));
      } else if (operation.d == MmaType::f64) {
        ASSERT_NEAR(static_cast<double>(decoded(operation.d, bits)), static_cast<double>(want),
                    1e-13);
      } else {
        ASSERT_EQ(decoded(operation.d, bits), want);
      }
    }
  }
}

TEST(Mma, EqualsATripleLoopForFloatTypes) {
  using enum MmaType;
  for (const int k : {8, 16}) {
    expect_product({16, 8, k, f32, f16, f16, f32});
    expect_product({16, 8, k, f16, f16, f16, f16});
    expect_product({16, 8, k, f32, bf16, bf16, f32});
  }
  for (const int k : {4, 8}) expect_product({16, 8, k, f32, tf32, tf32, f32});
  for (const int k : {16, 32}) {
    expect_product({16, 8, k, f32, e4m3, e4m3, f32});
    expect_product({16, 8, k, f32, e5m2, e4m3, f32});
    expect_product({16, 8, k, f16, e4m3, e5m2, f16});
  }
  expect_product({8, 8, 4, f64, f64, f64, f64});
  for (const int k : {4, 8, 16}) expect_product({16, 8, k, f64, f64, f64, f64});
}

TEST(Mma, EqualsATripleLoopForIntegers) {
  using enum MmaType;
  for (const MmaType a : {s8, u8}) {
    for (const MmaType b : {s8, u8}) {
      expect_product({8, 8, 16, s32, a, b, s32});
      for (const int k : {16, 32}) expect_product({16, 8, k, s32, a, b, s32});
    }
  }
  for (const MmaType a : {s4, u4}) {
    expect_product({8, 8, 32, s32, a, s4, s32});
    for (const int k : {32, 64}) expect_product({16, 8, k, s32, a, u4, s32});
  }
  for (const bool b1_and : {false, true}) {
    expect_product({8, 8, 128, s32, b1, b1, s32, false, b1_and});
    for (const int k : {128, 256}) expect_product({16, 8, k, s32, b1, b1, s32, false, b1_and});
  }
}

/// The formulas of PTX's manual for m16n8k16 with 16-bit elements.
TEST(MmaLayout, AgreesWithTheManualForM16N8K16) {
  const MmaOperation operation{};
  ASSERT_EQ(register_count(operation, MmaMatrix::a), 4);
  ASSERT_EQ(register_count(operation, MmaMatrix::b), 2);
  ASSERT_EQ(register_count(operation, MmaMatrix::c), 4);
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    for (int i = 0; i < 8; ++i) {
      const MatrixPosition p = position(operation, MmaMatrix::a, lane, i);
      EXPECT_EQ(p.row, (i < 2 || (i >= 4 && i < 6)) ? group : group + 8);
      EXPECT_EQ(p.column, thread * 2 + (i & 1) + (i >= 4 ? 8 : 0));
    }
    for (int i = 0; i < 4; ++i) {
      const MatrixPosition p = position(operation, MmaMatrix::b, lane, i);
      EXPECT_EQ(p.row, thread * 2 + (i & 1) + (i >= 2 ? 8 : 0));
      EXPECT_EQ(p.column, group);
      const MatrixPosition q = position(operation, MmaMatrix::c, lane, i);
      EXPECT_EQ(q.row, i < 2 ? group : group + 8);
      EXPECT_EQ(q.column, thread * 2 + (i & 1));
    }
  }
}

TEST(MmaLayout, AgreesWithTheManualForTF32M16N8K8) {
  using enum MmaType;
  const MmaOperation operation{16, 8, 8, f32, tf32, tf32, f32};
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const MatrixPosition p = position(operation, MmaMatrix::a, lane, i);
      EXPECT_EQ(p.row, i % 2 == 0 ? group : group + 8);
      EXPECT_EQ(p.column, i < 2 ? thread : thread + 4);
    }
    for (int i = 0; i < 2; ++i) {
      const MatrixPosition p = position(operation, MmaMatrix::b, lane, i);
      EXPECT_EQ(p.row, i == 0 ? thread : thread + 4);
      EXPECT_EQ(p.column, group);
    }
  }
}

TEST(MmaLayout, AgreesWithTheManualForIntegerM16N8K32) {
  using enum MmaType;
  const MmaOperation operation{16, 8, 32, s32, s8, u8, s32};
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    for (int i = 0; i < 16; ++i) {
      const MatrixPosition p = position(operation, MmaMatrix::a, lane, i);
      EXPECT_EQ(p.row, (i < 4 || (i >= 8 && i < 12)) ? group : group + 8);
      EXPECT_EQ(p.column, thread * 4 + (i & 3) + (i < 8 ? 0 : 16));
    }
    for (int i = 0; i < 8; ++i) {
      const MatrixPosition p = position(operation, MmaMatrix::b, lane, i);
      EXPECT_EQ(p.row, thread * 4 + (i & 3) + (i < 4 ? 0 : 16));
      EXPECT_EQ(p.column, group);
    }
  }
}

TEST(MmaLayout, AgreesWithTheManualForF64M8N8K4) {
  using enum MmaType;
  const MmaOperation operation{8, 8, 4, f64, f64, f64, f64};
  ASSERT_EQ(register_count(operation, MmaMatrix::a), 2);
  ASSERT_EQ(register_count(operation, MmaMatrix::c), 4);
  for (int lane = 0; lane < 32; ++lane) {
    const MatrixPosition a = position(operation, MmaMatrix::a, lane, 0);
    const MatrixPosition b = position(operation, MmaMatrix::b, lane, 0);
    const MatrixPosition c = position(operation, MmaMatrix::c, lane, 1);
    EXPECT_EQ(a.row, lane >> 2);
    EXPECT_EQ(a.column, lane % 4);
    EXPECT_EQ(b.row, lane % 4);
    EXPECT_EQ(b.column, lane >> 2);
    EXPECT_EQ(c.row, lane >> 2);
    EXPECT_EQ(c.column, lane % 4 * 2 + 1);
  }
}

TEST(Mma, SaturatesOrWrapsIntegerSums) {
  using enum MmaType;
  MmaOperation operation{8, 8, 16, s32, u8, u8, s32};
  Words a(1), b(1), c(2), d(2);
  a[0].fill(0xffffffffu);
  b[0].fill(0xffffffffu);
  c[0].fill(0x7fffffffu);
  c[1].fill(0x80000000u);
  const uint32_t product = 16 * 255 * 255;
  mma(operation, pointer(a), pointer(b), pointer(c), pointer(d));
  EXPECT_EQ(d[0][5], 0x7fffffffu + product);
  EXPECT_EQ(d[1][5], 0x80000000u + product);
  operation.satfinite = true;
  mma(operation, pointer(a), pointer(b), pointer(c), pointer(d));
  EXPECT_EQ(d[0][5], 0x7fffffffu);
  EXPECT_EQ(d[1][5], 0x80000000u + product);
}

TEST(Mma, WritesOverItsOwnAccumulator) {
  const MmaOperation operation{};
  Words a(4), b(2), c(4), d(4);
  for (auto& word : a) word.fill(0x3c003c00u);
  for (auto& word : b) word.fill(0x40004000u);
  for (auto& word : c) word.fill(std::bit_cast<uint32_t>(0.5f));
  mma(operation, pointer(a), pointer(b), pointer(c), pointer(c));
  EXPECT_EQ(std::bit_cast<float>(c[3][31]), 32.5f);
}

TEST(Mma, GivesTheCanonicalNan) {
  const MmaOperation operation{};
  Words a(4), b(2), c(4), d(4);
  a[0][0] = 0x7c00;  // infinity at (0, 0) times zeros
  mma(operation, pointer(a), pointer(b), pointer(c), pointer(d));
  EXPECT_EQ(d[0][0], kNanF32);
  EXPECT_EQ(d[0][4], 0u);
}

TEST(Mma, RefusesCombinationsThatDoNotExist) {
  using enum MmaType;
  EXPECT_FALSE(supported(MmaOperation{16, 8, 32, f32, f16, f16, f32}));
  EXPECT_FALSE(supported(MmaOperation{16, 8, 16, f32, f16, bf16, f32}));
  EXPECT_FALSE(supported(MmaOperation{16, 8, 16, f16, bf16, bf16, f16}));
  EXPECT_FALSE(supported(MmaOperation{16, 8, 16, f32, s8, s8, f32}));
  EXPECT_FALSE(supported(MmaOperation{0, -1, 1 << 30, f32, f16, f16, f32}));
}

TEST(MatrixMoves, LoadStoreAndTransposeAgree) {
  uint8_t rows[32][16];
  for (int matrix = 0; matrix < 4; ++matrix) {
    for (int row = 0; row < 8; ++row) {
      for (int column = 0; column < 8; ++column) {
        rows[8 * matrix + row][2 * column] = static_cast<uint8_t>(row * 8 + column);
        rows[8 * matrix + row][2 * column + 1] = static_cast<uint8_t>(matrix);
      }
    }
  }
  for (const int count : {1, 2, 4}) {
    for (const bool transpose : {false, true}) {
      Words words(4);
      ldmatrix(rows, count, transpose, pointer(words));
      for (int matrix = 0; matrix < count; ++matrix) {
        for (int lane = 0; lane < 32; ++lane) {
          for (int half = 0; half < 2; ++half) {
            const int along = lane % 4 * 2 + half, group = lane / 4;
            const int want = transpose ? along * 8 + group : group * 8 + along;
            const uint32_t word = words[static_cast<size_t>(matrix)][static_cast<size_t>(lane)];
            EXPECT_EQ(word >> (16 * half) & 0xffff, static_cast<uint32_t>(matrix << 8 | want));
          }
        }
      }
      uint8_t stored[32][16] = {};
      stmatrix(pointer(words), count, transpose, stored);
      EXPECT_EQ(std::memcmp(stored, rows, static_cast<size_t>(count) * 128), 0);
    }
  }
  Words in(1), out(1), transposed(1);
  ldmatrix(rows, 1, false, pointer(in));
  ldmatrix(rows, 1, true, pointer(transposed));
  movmatrix(*pointer(in), *pointer(out));
  EXPECT_EQ(out, transposed);
}

}  // namespace
}  // namespace assay::virtual_gpu
