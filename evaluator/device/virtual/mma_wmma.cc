#include "evaluator/device/virtual/mma_wmma.h"

#include <utility>

#include "evaluator/device/virtual/mma_matrix.h"

namespace assay::virtual_gpu {
namespace {

// PTX leaves open which lane holds which element of a wmma fragment; programs may only rely on
// loads, stores and products agreeing, and on fragments of one type having one layout. Ours is the
// rule of mma_matrix.cc applied to the whole matrix, so that m16n16k16 is two m16n8k16 side by
// side, and m8n32k16 is the transpose of m32n8k16: D^T = B^T A^T + C^T. The f16 fragments of A and
// B have eight registers for every shape; where the matrix needs fewer, they repeat. Loads on an
// H200 put every element where this says.

constexpr int kF16Words = 8;

bool is_transposed(const WmmaOperation& operation) { return operation.n == 32; }

/// Of the transposed product, for m8n32k16.
MmaShape shape_of(const WmmaOperation& operation) {
  const bool swap = is_transposed(operation);
  return {swap ? operation.n : operation.m,
          swap ? operation.m : operation.n,
          operation.k,
          operation.d,
          swap ? operation.b : operation.a,
          swap ? operation.a : operation.b,
          operation.c,
          operation.satfinite,
          operation.b1_and};
}

/// Which operand of shape_of() a fragment is.
MmaMatrix role_of(const WmmaOperation& operation, MmaMatrix matrix) {
  if (!is_transposed(operation)) return matrix;
  return matrix == MmaMatrix::a ? MmaMatrix::b : matrix == MmaMatrix::b ? MmaMatrix::a : matrix;
}

bool is_shape(const WmmaOperation& operation, int m, int n, int k) {
  return operation.m == m && operation.n == n && operation.k == k;
}

bool is_16_bit_shape(const WmmaOperation& operation) {
  return is_shape(operation, 16, 16, 16) || is_shape(operation, 32, 8, 16) ||
         is_shape(operation, 8, 32, 16);
}

bool is_sum(MmaType type, MmaType first, MmaType second) { return type == first || type == second; }

}  // namespace

bool supported(const WmmaOperation& operation) {
  const auto sums = [&](MmaType type) { return operation.c == type && operation.d == type; };
  const bool row_by_column = operation.a_row && !operation.b_row;
  if (operation.a != operation.b) return false;
  switch (operation.a) {
    case MmaType::f16:
      return is_16_bit_shape(operation) && is_sum(operation.c, MmaType::f16, MmaType::f32) &&
             is_sum(operation.d, MmaType::f16, MmaType::f32);
    case MmaType::bf16:
      return is_16_bit_shape(operation) && sums(MmaType::f32);
    case MmaType::s8:
    case MmaType::u8:
      return is_16_bit_shape(operation) && sums(MmaType::s32);
    case MmaType::tf32:
      return is_shape(operation, 16, 16, 8) && sums(MmaType::f32);
    case MmaType::f64:
      return is_shape(operation, 8, 8, 4) && sums(MmaType::f64);
    case MmaType::s4:
    case MmaType::u4:
      return row_by_column && is_shape(operation, 8, 8, 32) && sums(MmaType::s32);
    case MmaType::b1:
      return row_by_column && is_shape(operation, 8, 8, 128) && sums(MmaType::s32);
    default:
      return false;
  }
}

int register_count(const WmmaOperation& operation, MmaMatrix matrix) {
  const bool factor = matrix == MmaMatrix::a || matrix == MmaMatrix::b;
  if (factor && operation.a == MmaType::f16) return kF16Words;
  return shape_of(operation).words(role_of(operation, matrix));
}

int element_bits(const WmmaOperation& operation, MmaMatrix matrix) {
  return element_bits(shape_of(operation).type(role_of(operation, matrix)));
}

int element_count(const WmmaOperation& operation, MmaMatrix matrix) {
  return register_count(operation, matrix) * 32 / element_bits(operation, matrix);
}

WmmaElement wmma_element(const WmmaOperation& operation, MmaMatrix matrix, bool row_major,
                         uint64_t stride, int lane, int index) {
  const MmaShape shape = shape_of(operation);
  const MmaMatrix role = role_of(operation, matrix);
  const int bits = element_bits(shape.type(role));
  const int word = index * bits / 32;
  const int shift = bits >= 32 ? 0 : index * bits % 32;
  MatrixPosition at = shape.origin(role, lane, word % shape.words(role));
  (role == MmaMatrix::b ? at.row : at.column) += shift / bits;
  if (is_transposed(operation)) std::swap(at.row, at.column);
  const auto row = static_cast<uint64_t>(at.row);
  const auto column = static_cast<uint64_t>(at.column);
  return {row_major ? row * stride + column : column * stride + row, static_cast<uint8_t>(word),
          static_cast<uint8_t>(shift)};
}

void wmma(const WmmaOperation& operation, const LaneWords* a, const LaneWords* b,
          const LaneWords* c, LaneWords* d) {
  const bool swap = is_transposed(operation);
  multiply(shape_of(operation), swap ? b : a, swap ? a : b, c, d);
}

}  // namespace assay::virtual_gpu
