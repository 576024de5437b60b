// Handlers of instructions that exchange data between the lanes of a warp, and of matrices.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "evaluator/device/virtual/mma.h"
#include "evaluator/device/virtual/mma_wmma.h"
#include "evaluator/device/virtual/program.h"

namespace assay::virtual_gpu {

// All have the member mask in row r[5]. Lanes with equal members form a group.

bool run_warp_barrier(Warp& warp, const Op& op, uint32_t mask);
/// imm: VoteKind; r[0] d, r[1] predicate; width != 0: the predicate is negated.
enum class VoteKind : uint8_t { all, any, uni, ballot };
bool run_vote(Warp& warp, const Op& op, uint32_t mask);
/// imm bit 0: .all with a predicate in r[1]; width: bytes of the value in r[2].
bool run_match(Warp& warp, const Op& op, uint32_t mask);
/// Op::imm: ReduceKind; r[0] d, r[1] a.
enum class ReduceKind : uint8_t { add, min_u, min_s, max_u, max_s, bits_and, bits_or, bits_xor };
bool run_reduce(Warp& warp, const Op& op, uint32_t mask);
/// r[0] d, r[1] p: the lowest member lane, and whether this lane is it.
bool run_elect(Warp& warp, const Op& op, uint32_t mask);
/// r[0] d.
bool run_active_mask(Warp& warp, const Op& op, uint32_t mask);

/// Op::table of ldmatrix and stmatrix.
struct MatrixMove {
  int count = 1;
  bool transpose = false;
  bool shared = true;  // addresses of shared memory, else generic
  bool narrow = true;
  uint32_t rows[4] = {};  // registers
};
bool run_load_matrix(Warp& warp, const Op& op, uint32_t mask);
bool run_store_matrix(Warp& warp, const Op& op, uint32_t mask);
bool run_move_matrix(Warp& warp, const Op& op, uint32_t mask);

/// Op::table of mma and wmma.mma: rows of 32-bit words, f64 operands as 64-bit rows.
struct MatrixMultiply {
  bool is_wmma = false;
  MmaOperation mma;
  WmmaOperation wmma;
  bool wide = false;  // f64 registers
  std::vector<uint32_t> d, a, b, c;
};
bool run_matrix_multiply(Warp& warp, const Op& op, uint32_t mask);

/// Op::table of wmma.load and wmma.store; r[4] the address, r[0] the stride (elements).
struct WmmaMove {
  WmmaOperation operation;
  MmaMatrix matrix = MmaMatrix::a;
  bool row_major = true;
  bool shared = false;
  bool narrow = false;
  bool has_stride = false;
  bool store = false;
  bool wide = false;
  std::vector<uint32_t> rows;
  /// What each lane moves at once: an element, or a register full of elements smaller than a byte,
  /// which lie side by side.
  struct Unit {
    uint8_t word = 0, shift = 0;
    std::array<uint16_t, 32> across{}, along{};  // element across[lane] * stride + along[lane]
  };
  std::vector<Unit> units;
  uint32_t unit_bits = 32;
  uint32_t element_bits = 32;
  uint32_t packed_stride = 0;  // elements; where the instruction gives no stride

  /// Fills the units in from what comes before.
  void place_units();
};
bool run_wmma_move(Warp& warp, const Op& op, uint32_t mask);

}  // namespace assay::virtual_gpu
