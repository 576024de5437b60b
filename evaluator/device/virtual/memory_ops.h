// Handlers of memory instructions other than plain loads and stores.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/program.h"
#include "evaluator/device/virtual/types.h"

namespace assay::virtual_gpu {

/// atom and red: Op::table. Rows: r[0] d, r[1] b, r[2] c, r[4] address; Op::imm the offset.
struct AtomicInfo {
  Scalar update = nullptr;  // (old, b, c) -> new
  uint32_t bytes = 4;
  uint32_t alignment = 4;  // of the address; of a vector's first element the whole vector's
  bool shared = false;     // addresses of shared memory, else generic
  bool narrow = false;     // 32-bit addresses
  bool returns = false;    // writes d
};
bool run_atomic(Warp& warp, const Op& op, uint32_t mask);

/// cp.async: Op::table. Rows: r[0] target (shared), r[1] source (global), r[2] bytes to copy, the
/// rest becomes zero; r[3] a predicate to ignore the source.
struct CopyInfo {
  uint32_t bytes = 4;
  bool narrow = true;  // 32-bit target addresses
  int64_t target_offset = 0;
  int64_t source_offset = 0;
  bool has_size = false;
  bool has_ignore = false;
  bool ignore_inverted = false;
};
bool run_copy_async(Warp& warp, const Op& op, uint32_t mask);

/// Loads and stores of .param variables in functions: r[0..3] values, r[4] the blob, r[5] its
/// stride, imm the offset in it.
bool load_blob(Warp& warp, const Op& op, uint32_t mask);
bool store_blob(Warp& warp, const Op& op, uint32_t mask);

/// mbarrier objects in shared memory: Op::table. Rows: r[0] d (state, predicate or count), r[1]
/// count, transaction bytes or state, r[4] address.
enum class MbarrierKind : uint8_t {
  init,
  invalidate,
  arrive,
  arrive_drop,
  expect,
  complete,
  arrive_expect,
  test_state,
  test_parity,
};
struct MbarrierInfo {
  MbarrierKind kind = MbarrierKind::init;
  bool shared = true;
  bool narrow = true;
  bool returns = false;
  bool has_count = false;
};
bool run_mbarrier(Warp& warp, const Op& op, uint32_t mask);
/// The pending count in a state that an arrive returned.
uint64_t mbarrier_pending(uint64_t state, uint64_t, uint64_t, uint64_t);

/// cp.async.bulk between global and shared memory, or within shared memory: Op::table. Rows: r[0]
/// target, r[1] source, r[2] bytes, r[3] the mbarrier that counts them.
struct BulkInfo {
  bool to_shared = true;
  bool from_shared = false;  // both: from the block's own to any of the cluster
  bool narrow_target = true, narrow_source = false, narrow_barrier = true;
  bool has_barrier = true;
  int64_t target_offset = 0, source_offset = 0, barrier_offset = 0;
};
bool run_bulk_copy(Warp& warp, const Op& op, uint32_t mask);

bool run_fence(Warp& warp, const Op& op, uint32_t mask);

}  // namespace assay::virtual_gpu
