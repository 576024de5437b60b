#include "evaluator/device/virtual/mma.h"

#include "evaluator/device/virtual/mma_matrix.h"

namespace assay::virtual_gpu {
namespace {

MmaShape shape_of(const MmaOperation& operation) {
  return {operation.m, operation.n, operation.k,         operation.d,     operation.a,
          operation.b, operation.c, operation.satfinite, operation.b1_and};
}

bool is(MmaType type, MmaType first, MmaType second) { return type == first || type == second; }

/// m16n8 with one of two depths.
bool is_m16n8(const MmaOperation& operation, int k1, int k2) {
  return operation.m == 16 && operation.n == 8 && (operation.k == k1 || operation.k == k2);
}

bool is_m8n8(const MmaOperation& operation, int k) {
  return operation.m == 8 && operation.n == 8 && operation.k == k;
}

uint16_t element(const uint8_t (&row)[16], int column) {
  return static_cast<uint16_t>(row[2 * column] | row[2 * column + 1] << 8);
}

}  // namespace

bool supported(const MmaOperation& operation) {
  const bool f32_sums = operation.c == MmaType::f32 && operation.d == MmaType::f32;
  const bool f16_sums = operation.c == MmaType::f16 && operation.d == MmaType::f16;
  const bool s32_sums = operation.c == MmaType::s32 && operation.d == MmaType::s32;
  const bool same = operation.a == operation.b;
  switch (operation.a) {
    case MmaType::f16:
      return same && (f32_sums || f16_sums) && is_m16n8(operation, 8, 16);
    case MmaType::bf16:
      return same && f32_sums && is_m16n8(operation, 8, 16);
    case MmaType::tf32:
      return same && f32_sums && is_m16n8(operation, 4, 8);
    case MmaType::e4m3:
    case MmaType::e5m2:
      return is(operation.b, MmaType::e4m3, MmaType::e5m2) && (f32_sums || f16_sums) &&
             is_m16n8(operation, 16, 32);
    case MmaType::f64:
      return same && operation.c == MmaType::f64 && operation.d == MmaType::f64 &&
             (is_m8n8(operation, 4) || is_m16n8(operation, 4, 8) || is_m16n8(operation, 16, 16));
    case MmaType::s8:
    case MmaType::u8:
      return is(operation.b, MmaType::s8, MmaType::u8) && s32_sums &&
             (is_m8n8(operation, 16) || is_m16n8(operation, 16, 32));
    case MmaType::s4:
    case MmaType::u4:
      return is(operation.b, MmaType::s4, MmaType::u4) && s32_sums &&
             (is_m8n8(operation, 32) || is_m16n8(operation, 32, 64));
    case MmaType::b1:
      return same && s32_sums && (is_m8n8(operation, 128) || is_m16n8(operation, 128, 256));
    case MmaType::f32:
    case MmaType::s32:
      return false;
  }
  return false;
}

int register_count(const MmaOperation& operation, MmaMatrix matrix) {
  return shape_of(operation).words(matrix);
}

int element_count(const MmaOperation& operation, MmaMatrix matrix) {
  const MmaShape shape = shape_of(operation);
  return shape.words(matrix) * 32 / element_bits(shape.type(matrix));
}

MatrixPosition position(const MmaOperation& operation, MmaMatrix matrix, int lane, int index) {
  const MmaShape shape = shape_of(operation);
  const MmaType type = shape.type(matrix);
  const int per_word = elements_per_word(type);
  const int words_per_element = type == MmaType::f64 ? 2 : 1;
  MatrixPosition at = shape.origin(matrix, lane, index / per_word * words_per_element);
  (matrix == MmaMatrix::b ? at.row : at.column) += index % per_word;
  return at;
}

void mma(const MmaOperation& operation, const LaneWords* a, const LaneWords* b, const LaneWords* c,
         LaneWords* d) {
  multiply(shape_of(operation), a, b, c, d);
}

void ldmatrix(const uint8_t (*rows)[16], int count, bool transpose, LaneWords* out) {
  for (int matrix = 0; matrix < count; ++matrix) {
    const uint8_t(*const from)[16] = rows + 8 * matrix;
    for (int lane = 0; lane < 32; ++lane) {
      const int group = lane / 4;
      const int pair = lane % 4 * 2;
      const uint32_t low = transpose ? element(from[pair], group) : element(from[group], pair);
      const uint32_t high =
          transpose ? element(from[pair + 1], group) : element(from[group], pair + 1);
      out[matrix][lane] = high << 16 | low;
    }
  }
}

void stmatrix(const LaneWords* in, int count, bool transpose, uint8_t (*rows)[16]) {
  for (int matrix = 0; matrix < count; ++matrix) {
    uint8_t(*const to)[16] = rows + 8 * matrix;
    for (int lane = 0; lane < 32; ++lane) {
      for (int half = 0; half < 2; ++half) {
        const int group = lane / 4;
        const int along = lane % 4 * 2 + half;
        const uint32_t value = in[matrix][lane] >> (16 * half);
        uint8_t* const at = transpose ? to[along] + 2 * group : to[group] + 2 * along;
        at[0] = static_cast<uint8_t>(value);
        at[1] = static_cast<uint8_t>(value >> 8);
      }
    }
  }
}

void movmatrix(const LaneWords& in, LaneWords& out) {
  uint8_t rows[8][16];
  stmatrix(&in, 1, false, rows);
  ldmatrix(rows, 1, true, &out);
}

}  // namespace assay::virtual_gpu
