// wmma.load, wmma.store and wmma.mma: what nvcuda::wmma compiles to.
//
// PTX leaves the layout of wmma fragments open; mma_wmma.cc describes ours.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/mma.h"

namespace assay::virtual_gpu {

/// One wmma.mma.sync.aligned.<alayout>.<blayout>.m<m>n<n>k<k>; for load and store, the fields that
/// concern the matrix. tf32 is wmma's m16n16k8, f64 its m8n8k4.
struct WmmaOperation {
  int m = 16, n = 16, k = 16;
  MmaType d = MmaType::f32, a = MmaType::f16, b = MmaType::f16, c = MmaType::f32;
  bool a_row = true;  // layout of A in memory
  bool b_row = true;  // layout of B in memory
  bool satfinite = false;
  bool b1_and = false;
};

bool supported(const WmmaOperation& operation);

/// 32-bit registers per lane; the length of the vector operand times words per element of it.
int register_count(const WmmaOperation& operation, MmaMatrix matrix);

/// A place of memory that a lane loads or stores: element `offset_elements` from the base pointer,
/// into bits [shift, shift + bits) of register `word`.
struct WmmaElement {
  uint64_t offset_elements = 0;  // row * stride + column, or the other way round for .col
  uint8_t word = 0;
  uint8_t shift = 0;
};
int element_count(const WmmaOperation& operation, MmaMatrix matrix);
/// Bits of an element: 64 (spans `word` and the next), 32, 16, 8, 4 or 1; sub-byte elements count
/// in offset_elements too.
int element_bits(const WmmaOperation& operation, MmaMatrix matrix);
/// wmma.load and wmma.store: element `index` of a lane with leading dimension `stride` (elements).
/// `row_major` is the .row or .col of the load or store.
WmmaElement wmma_element(const WmmaOperation& operation, MmaMatrix matrix, bool row_major,
                         uint64_t stride, int lane, int index);

/// d = a * b + c on fragments loaded as above. d may be c.
void wmma(const WmmaOperation& operation, const LaneWords* a, const LaneWords* b,
          const LaneWords* c, LaneWords* d);

}  // namespace assay::virtual_gpu
