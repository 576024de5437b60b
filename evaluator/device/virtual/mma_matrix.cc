#include "evaluator/device/virtual/mma_matrix.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "evaluator/device/virtual/arithmetic_convert.h"

namespace assay::virtual_gpu {
namespace {

// Theory: all fragments follow one rule. With g = lane / 4, t = lane % 4 and e elements in a
// register, one register of the warp holds a block of 8 rows by 4e columns of A (lane: row g,
// columns t * e ...), of 4e rows by 8 columns of B (lane: column g), and two 32-bit registers (one,
// for f16) hold 8 by 8 elements of C (lane: row g, columns 2t and 2t + 1). Blocks are numbered with
// the two row blocks of a 16-row tile fastest, then along k (A, B) or the columns (C), then tiles.
//
// A product is computed in dense matrices. Products of f16, bf16, tf32, e4m3 and e5m2 are exact in
// double, and are summed there in the order of k on top of c; one rounding to nearest gives d.
// Integer products and their sums over one instruction are exact in float.

constexpr int kLargestA = 32 * 16 > 16 * 256 ? 32 * 16 : 16 * 256;
constexpr int kLargestB = 256 * 8 > 16 * 32 ? 256 * 8 : 16 * 32;
constexpr int kLargestC = 16 * 16;

bool is_integer(MmaType type) {
  return type == MmaType::s8 || type == MmaType::u8 || type == MmaType::s4 || type == MmaType::u4 ||
         type == MmaType::b1;
}

/// Calls store(i, value) for the elements of a word.
template <MmaType kType, typename Store>
void decode_word(uint32_t word, Store store) {
  constexpr int kBits = element_bits(kType);
  for (int i = 0; i < 32 / kBits; ++i) {
    const uint32_t moved = word >> (kBits * i);
    if constexpr (kType == MmaType::f16) store(i, to_f32(from_register<F16>(moved)));
    if constexpr (kType == MmaType::bf16) store(i, to_f32(from_register<BF16>(moved)));
    if constexpr (kType == MmaType::tf32) store(i, to_f32(TF32{moved}));
    if constexpr (kType == MmaType::f32) store(i, std::bit_cast<float>(moved));
    if constexpr (kType == MmaType::e4m3) store(i, to_f32(from_register<E4M3>(moved)));
    if constexpr (kType == MmaType::e5m2) store(i, to_f32(from_register<E5M2>(moved)));
    if constexpr (kType == MmaType::s8) store(i, static_cast<float>(static_cast<int8_t>(moved)));
    if constexpr (kType == MmaType::s4) {
      store(i, static_cast<float>(static_cast<int32_t>(moved << 28) >> 28));
    }
    if constexpr (kType == MmaType::u8 || kType == MmaType::u4 || kType == MmaType::b1) {
      store(i, static_cast<float>(moved & ((1u << kBits) - 1)));
    }
  }
}

/// Calls function.operator()<type>(). f64 and s32 are never decoded.
template <typename Function>
void for_type(MmaType type, Function function) {
  switch (type) {
    case MmaType::f16:
      return function.template operator()<MmaType::f16>();
    case MmaType::bf16:
      return function.template operator()<MmaType::bf16>();
    case MmaType::tf32:
      return function.template operator()<MmaType::tf32>();
    case MmaType::f32:
      return function.template operator()<MmaType::f32>();
    case MmaType::e4m3:
      return function.template operator()<MmaType::e4m3>();
    case MmaType::e5m2:
      return function.template operator()<MmaType::e5m2>();
    case MmaType::s8:
      return function.template operator()<MmaType::s8>();
    case MmaType::u8:
      return function.template operator()<MmaType::u8>();
    case MmaType::s4:
      return function.template operator()<MmaType::s4>();
    case MmaType::u4:
      return function.template operator()<MmaType::u4>();
    case MmaType::b1:
      return function.template operator()<MmaType::b1>();
    case MmaType::f64:
    case MmaType::s32:
      return;
  }
}

double f64_at(const LaneWords* words, int word, int lane) {
  return std::bit_cast<double>(uint64_t{words[word + 1][lane]} << 32 | words[word][lane]);
}

/// Dense operands, A and C by rows, B by rows of k. `Work` is float or double.
template <typename Work>
struct Operands {
  alignas(64) Work a[kLargestA];
  alignas(64) Work b[kLargestB];
};

/// Calls visit(word, lane, place in the dense matrix) for the words of an operand. What a lane adds
/// to the place is the same for every word.
template <typename Visit>
void for_each_word(const MmaShape& shape, MmaMatrix matrix, Visit visit) {
  const int stride = matrix == MmaMatrix::a ? shape.k : shape.n;
  const auto place = [&](MatrixPosition at) { return at.row * stride + at.column; };
  int of_lane[32];
  for (int lane = 0; lane < 32; ++lane) of_lane[lane] = place(shape.within_block(matrix, lane));
  const int step = shape.type(matrix) == MmaType::f64 ? 2 : 1;
  const int words = shape.words(matrix);
  for (int word = 0; word < words; word += step) {
    const int of_word = place(shape.block(matrix, word));
    for (int lane = 0; lane < 32; ++lane) visit(word, lane, of_word + of_lane[lane]);
  }
}

template <typename Work>
void unpack(const MmaShape& shape, const LaneWords* a, const LaneWords* b, Operands<Work>& to) {
  for_type(shape.a, [&]<MmaType kType>() {
    for_each_word(shape, MmaMatrix::a, [&](int word, int lane, int at) {
      Work* const row = to.a + at;
      decode_word<kType>(a[word][lane],
                         [row](int i, float value) { row[i] = static_cast<Work>(value); });
    });
  });
  for_type(shape.b, [&]<MmaType kType>() {
    for_each_word(shape, MmaMatrix::b, [&](int word, int lane, int at) {
      Work* const column = to.b + at;
      decode_word<kType>(b[word][lane], [column, n = shape.n](int i, float value) {
        column[i * n] = static_cast<Work>(value);
      });
    });
  });
}

template <typename Work>
void accumulate(const MmaShape& shape, const Operands<Work>& operands, Work* sums) {
  // Eight columns at a time: their sums stay in registers over the loop along k.
  constexpr int kColumns = 8;
  for (int row = 0; row < shape.m; ++row) {
    const Work* a = operands.a + row * shape.k;
    for (int column = 0; column < shape.n; column += kColumns) {
      Work* target = sums + row * shape.n + column;
      Work partial[kColumns];
      for (int j = 0; j < kColumns; ++j) partial[j] = target[j];
      for (int depth = 0; depth < shape.k; ++depth) {
        const Work* b = operands.b + depth * shape.n + column;
        for (int j = 0; j < kColumns; ++j) partial[j] += a[depth] * b[j];
      }
      for (int j = 0; j < kColumns; ++j) target[j] = partial[j];
    }
  }
}

void multiply_float(const MmaShape& shape, const LaneWords* a, const LaneWords* b,
                    const LaneWords* c, LaneWords* d) {
  Operands<double> operands;
  alignas(64) double sums[kLargestC];
  unpack(shape, a, b, operands);
  for_type(shape.c, [&]<MmaType kType>() {
    for_each_word(shape, MmaMatrix::c, [&](int word, int lane, int at) {
      decode_word<kType>(c[word][lane], [&](int i, float value) { sums[at + i] = double{value}; });
    });
  });
  accumulate(shape, operands, sums);
  for_each_word(shape, MmaMatrix::d, [&](int word, int lane, int at) {
    if (shape.d == MmaType::f16) {
      const F16x2 pair{nearest_f16(sums[at]), nearest_f16(sums[at + 1])};
      d[word][lane] = static_cast<uint32_t>(to_register(pair));
    } else {
      const auto value = static_cast<float>(sums[at]);
      d[word][lane] = value != value ? kNanF32 : std::bit_cast<uint32_t>(value);
    }
  });
}

void multiply_f64(const MmaShape& shape, const LaneWords* a, const LaneWords* b, const LaneWords* c,
                  LaneWords* d) {
  Operands<double> operands;
  double sums[kLargestC];
  for_each_word(shape, MmaMatrix::a,
                [&](int word, int lane, int at) { operands.a[at] = f64_at(a, word, lane); });
  for_each_word(shape, MmaMatrix::b,
                [&](int word, int lane, int at) { operands.b[at] = f64_at(b, word, lane); });
  for_each_word(shape, MmaMatrix::c,
                [&](int word, int lane, int at) { sums[at] = f64_at(c, word, lane); });
  for (int row = 0; row < shape.m; ++row) {
    for (int column = 0; column < shape.n; ++column) {
      double& sum = sums[row * shape.n + column];
      for (int depth = 0; depth < shape.k; ++depth) {
        sum =
            std::fma(operands.a[row * shape.k + depth], operands.b[depth * shape.n + column], sum);
      }
    }
  }
  for_each_word(shape, MmaMatrix::d, [&](int word, int lane, int at) {
    const auto bits = std::bit_cast<uint64_t>(sums[at]);
    d[word][lane] = static_cast<uint32_t>(bits);
    d[word + 1][lane] = static_cast<uint32_t>(bits >> 32);
  });
}

void multiply_integer(const MmaShape& shape, const LaneWords* a, const LaneWords* b,
                      const LaneWords* c, LaneWords* d) {
  Operands<float> operands;
  alignas(64) float sums[kLargestC] = {};
  unpack(shape, a, b, operands);
  accumulate(shape, operands, sums);
  if (shape.a == MmaType::b1 && !shape.b1_and) {
    // popc(x ^ y) = popc(x) + popc(y) - 2 popc(x & y)
    for (int row = 0; row < shape.m; ++row) {
      for (int column = 0; column < shape.n; ++column) {
        float ones = 0;
        for (int depth = 0; depth < shape.k; ++depth) {
          ones += operands.a[row * shape.k + depth] + operands.b[depth * shape.n + column];
        }
        float& sum = sums[row * shape.n + column];
        sum = ones - 2 * sum;
      }
    }
  }
  for_each_word(shape, MmaMatrix::d, [&](int word, int lane, int at) {
    int64_t sum = int64_t{static_cast<int32_t>(c[word][lane])} + static_cast<int64_t>(sums[at]);
    if (shape.satfinite) {
      sum = std::clamp<int64_t>(sum, std::numeric_limits<int32_t>::min(),
                                std::numeric_limits<int32_t>::max());
    }
    d[word][lane] = static_cast<uint32_t>(sum);
  });
}

}  // namespace

int elements_per_word(MmaType type) { return std::max(1, 32 / element_bits(type)); }

MmaType MmaShape::type(MmaMatrix matrix) const {
  switch (matrix) {
    case MmaMatrix::a:
      return a;
    case MmaMatrix::b:
      return b;
    case MmaMatrix::c:
      return c;
    case MmaMatrix::d:
      return d;
  }
  return d;
}

int MmaShape::words(MmaMatrix matrix) const {
  const int elements = matrix == MmaMatrix::a ? m * k : matrix == MmaMatrix::b ? k * n : m * n;
  return elements * element_bits(type(matrix)) / (32 * 32);
}

MatrixPosition MmaShape::block(MmaMatrix matrix, int word) const {
  const MmaType element = type(matrix);
  const int per_word = elements_per_word(element);
  const int item = element == MmaType::f64 ? word / 2 : word;
  const int row_blocks = m >= 16 ? 2 : 1;  // of a tile
  if (matrix == MmaMatrix::a) {
    const int per_tile = row_blocks * (k / (4 * per_word));
    const int within = item % per_tile;
    return {item / per_tile * 16 + within % row_blocks * 8, within / row_blocks * 4 * per_word};
  }
  if (matrix == MmaMatrix::b) {
    const int per_tile = k / (4 * per_word);
    return {item % per_tile * 4 * per_word, item / per_tile * 8};
  }
  const int first = item * per_word;
  const int per_tile = row_blocks * (n / 8);
  const int within = first / 2 % per_tile;
  return {first / 2 / per_tile * 16 + within % row_blocks * 8, within / row_blocks * 8 + first % 2};
}

MatrixPosition MmaShape::within_block(MmaMatrix matrix, int lane) const {
  const int group = lane >> 2;
  const int thread = lane & 3;
  if (matrix == MmaMatrix::a) return {group, thread * elements_per_word(a)};
  if (matrix == MmaMatrix::b) return {thread * elements_per_word(b), group};
  return {group, thread * 2};
}

MatrixPosition MmaShape::origin(MmaMatrix matrix, int lane, int word) const {
  const MatrixPosition first = block(matrix, word);
  const MatrixPosition offset = within_block(matrix, lane);
  return {first.row + offset.row, first.column + offset.column};
}

void multiply(const MmaShape& shape, const LaneWords* a, const LaneWords* b, const LaneWords* c,
              LaneWords* d) {
  if (shape.a == MmaType::f64) {
    multiply_f64(shape, a, b, c, d);
  } else if (is_integer(shape.a)) {
    multiply_integer(shape, a, b, c, d);
  } else {
    multiply_float(shape, a, b, c, d);
  }
}

}  // namespace assay::virtual_gpu
