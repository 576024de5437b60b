// The special registers: %tid, %ctaid, %laneid, %clock and the like.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "evaluator/device/virtual/program.h"

namespace assay::virtual_gpu {

enum class Special : uint8_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  smid,
  nsmid,
  gridid,
  lanemask_eq,
  lanemask_le,
  lanemask_lt,
  lanemask_ge,
  lanemask_gt,
  clock,
  clock_hi,
  clock64,
  globaltimer,
  globaltimer_lo,
  globaltimer_hi,
  envreg1,
  envreg2,
  clusterid_x,
  clusterid_y,
  clusterid_z,
  nclusterid_x,
  nclusterid_y,
  nclusterid_z,
  cluster_ctaid_x,
  cluster_ctaid_y,
  cluster_ctaid_z,
  cluster_nctaid_x,
  cluster_nctaid_y,
  cluster_nctaid_z,
  cluster_ctarank,
  cluster_nctarank,
  explicit_cluster,
  zero,
  total_shared,
  dynamic_shared,
};

struct SpecialRegister {
  Special which = Special::zero;
  uint32_t width = 4;  // bytes; 0: a predicate
};

/// By name ("%tid.x"); nothing for a register this device does not have.
std::optional<SpecialRegister> special_register(std::string_view name);
/// r[0] = the special register op.imm, as op.width bytes (0: a predicate).
bool read_special(Warp& warp, const Op& op, uint32_t mask);

}  // namespace assay::virtual_gpu
