#include "evaluator/device/virtual/special.h"

#include <array>
#include <utility>

#include "evaluator/device/virtual/block.h"

namespace assay::virtual_gpu {
namespace {

/// One clock a warp instruction of the block; nanoseconds at the device's clock would be half.
uint64_t time_of(const Warp& warp) {
  return warp.block->launch->clock_start + warp.block->clock + warp.clock;
}

uint64_t uniform_value(const Warp& warp, Special which) {
  const Block& block = *warp.block;
  const Launch& launch = *block.launch;
  switch (which) {
    case Special::ntid_x:
      return launch.block.x;
    case Special::ntid_y:
      return launch.block.y;
    case Special::ntid_z:
      return launch.block.z;
    case Special::ctaid_x:
      return block.ctaid[0];
    case Special::ctaid_y:
      return block.ctaid[1];
    case Special::ctaid_z:
      return block.ctaid[2];
    case Special::nctaid_x:
      return launch.grid.x;
    case Special::nctaid_y:
      return launch.grid.y;
    case Special::nctaid_z:
      return launch.grid.z;
    case Special::warpid:
      return warp.index;
    case Special::nwarpid:
      return 64;
    case Special::smid:
      return block.order % launch.multiprocessors;
    case Special::nsmid:
      return launch.multiprocessors;
    case Special::gridid:
      return launch.operation + 1u;
    case Special::clock:
    case Special::clock64:
      return time_of(warp);
    case Special::clock_hi:
      return time_of(warp) >> 32;
    case Special::globaltimer:
    case Special::globaltimer_lo:
      return time_of(warp);
    case Special::globaltimer_hi:
      return time_of(warp) >> 32;
    case Special::envreg1:
      return launch.workspace >> 32;
    case Special::envreg2:
      return launch.workspace & 0xffffffffu;
    case Special::clusterid_x:
      return block.ctaid[0] / launch.cluster.x;
    case Special::clusterid_y:
      return block.ctaid[1] / launch.cluster.y;
    case Special::clusterid_z:
      return block.ctaid[2] / launch.cluster.z;
    case Special::nclusterid_x:
      return launch.grid.x / launch.cluster.x;
    case Special::nclusterid_y:
      return launch.grid.y / launch.cluster.y;
    case Special::nclusterid_z:
      return launch.grid.z / launch.cluster.z;
    case Special::cluster_ctaid_x:
      return block.ctaid[0] % launch.cluster.x;
    case Special::cluster_ctaid_y:
      return block.ctaid[1] % launch.cluster.y;
    case Special::cluster_ctaid_z:
      return block.ctaid[2] % launch.cluster.z;
    case Special::cluster_nctaid_x:
      return launch.cluster.x;
    case Special::cluster_nctaid_y:
      return launch.cluster.y;
    case Special::cluster_nctaid_z:
      return launch.cluster.z;
    case Special::cluster_ctarank:
      return block.rank;
    case Special::cluster_nctarank:
      return launch.cluster.count();
    case Special::explicit_cluster:
      return launch.explicit_cluster;
    case Special::total_shared:
      return launch.shared_bytes();
    case Special::dynamic_shared:
      return launch.dynamic_shared_bytes;
    default:
      return 0;
  }
}

uint32_t lane_value(const Warp& warp, Special which, uint32_t lane) {
  const uint32_t bit = 1u << lane;
  switch (which) {
    case Special::tid_x:
      return warp.tid[0][lane];
    case Special::tid_y:
      return warp.tid[1][lane];
    case Special::tid_z:
      return warp.tid[2][lane];
    case Special::laneid:
      return lane;
    case Special::lanemask_eq:
      return bit;
    case Special::lanemask_lt:
      return bit - 1;
    case Special::lanemask_le:
      return bit | (bit - 1);
    case Special::lanemask_gt:
      return ~(bit | (bit - 1));
    case Special::lanemask_ge:
      return ~(bit - 1);
    default:
      return 0;
  }
}

bool differs_by_lane(Special which) {
  return which <= Special::tid_z || which == Special::laneid ||
         (which >= Special::lanemask_eq && which <= Special::lanemask_gt);
}

}  // namespace

std::optional<SpecialRegister> special_register(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, SpecialRegister>, 52> kRegisters{{
      {"%tid.x", {Special::tid_x, 4}},
      {"%tid.y", {Special::tid_y, 4}},
      {"%tid.z", {Special::tid_z, 4}},
      {"%ntid.x", {Special::ntid_x, 4}},
      {"%ntid.y", {Special::ntid_y, 4}},
      {"%ntid.z", {Special::ntid_z, 4}},
      {"%ctaid.x", {Special::ctaid_x, 4}},
      {"%ctaid.y", {Special::ctaid_y, 4}},
      {"%ctaid.z", {Special::ctaid_z, 4}},
      {"%nctaid.x", {Special::nctaid_x, 4}},
      {"%nctaid.y", {Special::nctaid_y, 4}},
      {"%nctaid.z", {Special::nctaid_z, 4}},
      {"%laneid", {Special::laneid, 4}},
      {"%warpid", {Special::warpid, 4}},
      {"%nwarpid", {Special::nwarpid, 4}},
      {"%smid", {Special::smid, 4}},
      {"%nsmid", {Special::nsmid, 4}},
      {"%gridid", {Special::gridid, 8}},
      {"%lanemask_eq", {Special::lanemask_eq, 4}},
      {"%lanemask_le", {Special::lanemask_le, 4}},
      {"%lanemask_lt", {Special::lanemask_lt, 4}},
      {"%lanemask_ge", {Special::lanemask_ge, 4}},
      {"%lanemask_gt", {Special::lanemask_gt, 4}},
      {"%clock", {Special::clock, 4}},
      {"%clock_hi", {Special::clock_hi, 4}},
      {"%clock64", {Special::clock64, 8}},
      {"%globaltimer", {Special::globaltimer, 8}},
      {"%globaltimer_lo", {Special::globaltimer_lo, 4}},
      {"%globaltimer_hi", {Special::globaltimer_hi, 4}},
      {"%envreg1", {Special::envreg1, 4}},
      {"%envreg2", {Special::envreg2, 4}},
      {"%clusterid.x", {Special::clusterid_x, 4}},
      {"%clusterid.y", {Special::clusterid_y, 4}},
      {"%clusterid.z", {Special::clusterid_z, 4}},
      {"%nclusterid.x", {Special::nclusterid_x, 4}},
      {"%nclusterid.y", {Special::nclusterid_y, 4}},
      {"%nclusterid.z", {Special::nclusterid_z, 4}},
      {"%cluster_ctaid.x", {Special::cluster_ctaid_x, 4}},
      {"%cluster_ctaid.y", {Special::cluster_ctaid_y, 4}},
      {"%cluster_ctaid.z", {Special::cluster_ctaid_z, 4}},
      {"%cluster_nctaid.x", {Special::cluster_nctaid_x, 4}},
      {"%cluster_nctaid.y", {Special::cluster_nctaid_y, 4}},
      {"%cluster_nctaid.z", {Special::cluster_nctaid_z, 4}},
      {"%cluster_ctarank", {Special::cluster_ctarank, 4}},
      {"%cluster_nctarank", {Special::cluster_nctarank, 4}},
      {"%is_explicit_cluster", {Special::explicit_cluster, 0}},
      {"%total_smem_size", {Special::total_shared, 4}},
      {"%aggr_smem_size", {Special::total_shared, 4}},
      {"%dynamic_smem_size", {Special::dynamic_shared, 4}},
      {"%reserved_smem_offset_begin", {Special::zero, 4}},
      {"%reserved_smem_offset_cap", {Special::zero, 4}},
      {"%current_graph_exec", {Special::zero, 8}},
  }};
  for (const auto& [known, value] : kRegisters) {
    if (known == name) return value;
  }
  return std::nullopt;
}

bool read_special(Warp& warp, const Op& op, uint32_t mask) {
  const auto which = static_cast<Special>(op.imm);
  const bool by_lane = differs_by_lane(which);
  const uint64_t uniform = by_lane ? 0 : uniform_value(warp, which);
  if (op.width == 0) {
    uint32_t& bits = *row<uint32_t>(warp, op.r[0]);
    bits = uniform != 0 ? bits | mask : bits & ~mask;
    return false;
  }
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const uint64_t value = by_lane ? lane_value(warp, which, lane) : uniform;
    if (op.width == 8) {
      row<uint64_t>(warp, op.r[0])[lane] = value;
    } else {
      row<uint32_t>(warp, op.r[0])[lane] = static_cast<uint32_t>(value);
    }
  }
  return false;
}

}  // namespace assay::virtual_gpu
