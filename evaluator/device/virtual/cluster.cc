#include "evaluator/device/virtual/cluster.h"

#include <algorithm>
#include <bit>

namespace assay::virtual_gpu {
namespace {

/// Completes the phase of the barrier once every thread has arrived or exited.
void release_if_complete(Cluster& cluster) {
  if (cluster.arrived == 0) return;
  uint32_t missing = 0;
  for (const auto& block : cluster.blocks) missing += block->threads - block->exited;
  if (cluster.arrived < missing) return;
  cluster.arrived = 0;
  for (const auto& block : cluster.blocks) {
    for (const auto& warp : block->warps) {
      warp->cluster_arrived = 0;
      for (Split& split : warp->splits) {
        if (split.state != Split::State::cluster) continue;
        ++split.pc;
        split.state = Split::State::ready;
        warp->state = WarpState::ready;
      }
    }
    block->shadow.next_epoch();
  }
}

uint64_t window_of(const Warp& warp) {
  return warp.block->launch->space->window(Region::Kind::shared).address;
}

}  // namespace

const Block* owner_of(const Warp& warp, uint64_t offset) {
  const uint64_t rank = offset >> kRankBits;
  if (rank == 0) return warp.block;
  const auto& blocks = warp.block->cluster->blocks;
  if (rank > blocks.size() || blocks[rank - 1]->done) return nullptr;
  return blocks[rank - 1].get();
}

Next arrive_at_cluster(Warp& warp, const Op& op, uint32_t mask) {
  Cluster& cluster = *warp.block->cluster;
  if (const uint32_t twice = warp.cluster_arrived & mask; twice != 0) {
    raise(warp, op, std::countr_zero(twice), Fault::Kind::divergent_barrier,
          "arrives at the cluster's barrier a second time without having waited");
    return Next::fault;
  }
  warp.cluster_arrived |= mask;
  cluster.arrived += static_cast<uint32_t>(std::popcount(mask));
  ++warp.splits[warp.current].pc;
  release_if_complete(cluster);
  return Next::select;
}

Next wait_for_cluster(Warp& warp, uint32_t mask) {
  Split& split = warp.splits[warp.current];
  if ((warp.cluster_arrived & mask) == 0) {
    ++split.pc;
  } else {
    split.state = Split::State::cluster;
  }
  return Next::select;
}

void leave_cluster(Warp& warp, uint32_t mask) {
  Cluster& cluster = *warp.block->cluster;
  cluster.arrived -= static_cast<uint32_t>(std::popcount(warp.cluster_arrived & mask));
  warp.cluster_arrived &= ~mask;
  release_if_complete(cluster);
}

bool run_map_address(Warp& warp, const Op& op, uint32_t mask) {
  const bool generic = op.imm != 0;
  const uint64_t window = generic ? window_of(warp) : 0;
  const auto* address = row<uint64_t>(warp, op.r[1]);
  const auto* rank = row<uint32_t>(warp, op.r[2]);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    // A rank that no cluster has stays one: its use is refused.
    const uint64_t block = std::min<uint64_t>(rank[lane], 254) + 1;
    row<uint64_t>(warp, op.r[0])[lane] =
        window + (block << kRankBits | ((address[lane] - window) & kRankOffsetMask));
  }
  return false;
}

bool run_rank_of_address(Warp& warp, const Op& op, uint32_t mask) {
  const uint64_t window = op.imm != 0 ? window_of(warp) : 0;
  const auto* address = row<uint64_t>(warp, op.r[1]);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t rank = (address[lane] - window) >> kRankBits;
    row<uint32_t>(warp, op.r[0])[lane] =
        rank == 0 ? warp.block->rank : static_cast<uint32_t>(rank - 1);
  }
  return false;
}

}  // namespace assay::virtual_gpu
