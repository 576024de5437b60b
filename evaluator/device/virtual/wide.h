// 128-bit registers: rows of 32 lanes of 16 bytes. They can be joined, split and used by atomics.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/program.h"

namespace assay::virtual_gpu {

/// r[0] (128 bits) = r[1] below r[2] (64 bits each).
bool run_wide_join(Warp& warp, const Op& op, uint32_t mask);
/// r[0] below r[1] (64 bits each) = r[2] (128 bits).
bool run_wide_split(Warp& warp, const Op& op, uint32_t mask);
/// atom.exch and atom.cas: Op::table. Rows: r[0] d, r[1] b, r[2] c, r[4] address; imm the offset.
struct WideAtomicInfo {
  bool compare = false;  // cas, else exch
  bool shared = false;
  bool narrow = false;
};
bool run_wide_atomic(Warp& warp, const Op& op, uint32_t mask);

}  // namespace assay::virtual_gpu
