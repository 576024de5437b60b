// Fragments of tensor-core operations: which part of a matrix a lane's registers hold, and the
// dense product. Shared by mma.sync and wmma.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/mma.h"

namespace assay::virtual_gpu {

/// Sizes and types of one product, whichever instruction asked for it.
struct MmaShape {
  int m = 16, n = 8, k = 16;
  MmaType d = MmaType::f32, a = MmaType::f16, b = MmaType::f16, c = MmaType::f32;
  bool satfinite = false;
  bool b1_and = false;

  MmaType type(MmaMatrix matrix) const;
  /// 32-bit registers that hold the matrix once.
  int words(MmaMatrix matrix) const;
  /// The first element of register `word` of a lane (of the pair of registers, for f64: `word` is
  /// even). The word's other elements follow along k in A (columns) and B (rows), along the row in
  /// C and D.
  MatrixPosition origin(MmaMatrix matrix, int lane, int word) const;

  /// The two parts of origin(): where the block of register `word` begins, and a lane's place in
  /// it.
  MatrixPosition block(MmaMatrix matrix, int word) const;
  MatrixPosition within_block(MmaMatrix matrix, int lane) const;
};

/// Elements in a 32-bit register; 1 for f64, which takes two.
int elements_per_word(MmaType type);

/// d = a * b + c over fragments of words() registers.
void multiply(const MmaShape& shape, const LaneWords* a, const LaneWords* b, const LaneWords* c,
              LaneWords* d);

}  // namespace assay::virtual_gpu
