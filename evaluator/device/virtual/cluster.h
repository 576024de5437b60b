// A cluster: blocks that run side by side, can reach each other's shared memory and share a
// barrier. A launch without clusters has clusters of one block.
//
// In the window of shared memory a block finds its own at 0 and that of the cluster's block of rank
// r at (r + 1) << 24, which is what mapa makes of an address.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "evaluator/device/virtual/block.h"

namespace assay::virtual_gpu {

inline constexpr int kRankBits = 24;  // of an offset in the window, below the rank
inline constexpr uint64_t kRankOffsetMask = (uint64_t{1} << kRankBits) - 1;

struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;  // by rank
  /// Threads that arrived at the barrier in its current phase, without those that exited since.
  uint32_t arrived = 0;
};

/// The block that an offset in the window of shared memory belongs to; null: there is none, or it
/// has ended.
const Block* owner_of(const Warp& warp, uint64_t offset);

/// barrier.cluster.arrive and .wait.
Next arrive_at_cluster(Warp& warp, const Op& op, uint32_t mask);
Next wait_for_cluster(Warp& warp, uint32_t mask);
/// Lanes of a warp exited: the cluster's barrier no longer waits for them.
void leave_cluster(Warp& warp, uint32_t mask);

/// mapa: r[0] = the address r[1] in the block of rank r[2]; imm: 1 for generic addresses.
bool run_map_address(Warp& warp, const Op& op, uint32_t mask);
/// getctarank: r[0] = rank of the block that the address r[1] is in; imm: 1 for generic addresses.
bool run_rank_of_address(Warp& warp, const Op& op, uint32_t mask);

}  // namespace assay::virtual_gpu
