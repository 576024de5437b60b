// mma.sync, ldmatrix, stmatrix and movmatrix over the registers of a warp.
//
// Registers are 32-bit words by lane, `words[register][lane]`. An f64 element takes two registers,
// the lower word first.
#pragma once

#include <cstdint>

namespace assay::virtual_gpu {

enum class MmaType : uint8_t { f16, bf16, tf32, f32, f64, s8, u8, s4, u4, b1, e4m3, e5m2, s32 };

/// Bits of one element in a fragment.
constexpr int element_bits(MmaType type) {
  switch (type) {
    case MmaType::f64:
      return 64;
    case MmaType::f32:
    case MmaType::tf32:
    case MmaType::s32:
      return 32;
    case MmaType::f16:
    case MmaType::bf16:
      return 16;
    case MmaType::s8:
    case MmaType::u8:
    case MmaType::e4m3:
    case MmaType::e5m2:
      return 8;
    case MmaType::s4:
    case MmaType::u4:
      return 4;
    case MmaType::b1:
      return 1;
  }
  return 32;
}

/// One mma.sync.aligned.m<m>n<n>k<k>.row.col.<d>.<a>.<b>.<c>.
struct MmaOperation {
  int m = 16, n = 8, k = 16;
  MmaType d = MmaType::f32, a = MmaType::f16, b = MmaType::f16, c = MmaType::f32;
  bool satfinite = false;  // integers: clamp the sum instead of wrapping
  bool b1_and = false;     // b1: .and.popc instead of .xor.popc
};

/// Whether this device implements the combination; the executor refuses others when loading.
bool supported(const MmaOperation& operation);

enum class MmaMatrix : uint8_t { a, b, c, d };

/// 32-bit registers per lane of an operand.
int register_count(const MmaOperation& operation, MmaMatrix matrix);
/// Elements of an operand per lane.
int element_count(const MmaOperation& operation, MmaMatrix matrix);

/// Where element `index` of a lane's fragment lies in the matrix (A is m x k, B is k x n, C and D
/// are m x n). index counts elements from the low bits of register 0 upwards.
struct MatrixPosition {
  int row = 0;
  int column = 0;
};
MatrixPosition position(const MmaOperation& operation, MmaMatrix matrix, int lane, int index);

using LaneWords = uint32_t[32];

/// d = a * b + c. d may be the same memory as c. The operation is supported().
void mma(const MmaOperation& operation, const LaneWords* a, const LaneWords* b, const LaneWords* c,
         LaneWords* d);

/// ldmatrix .m8n8 .b16: rows[8 * i + j] are the 16 bytes at the address that lane 8 * i + j gave,
/// row j of matrix i. out[i] is register i. count: 1, 2 or 4.
void ldmatrix(const uint8_t (*rows)[16], int count, bool transpose, LaneWords* out);
/// stmatrix: the inverse; fills rows[0 .. 8 * count).
void stmatrix(const LaneWords* in, int count, bool transpose, uint8_t (*rows)[16]);
/// movmatrix.sync.aligned.m8n8.trans.b16.
void movmatrix(const LaneWords& in, LaneWords& out);

}  // namespace assay::virtual_gpu
