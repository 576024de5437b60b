#include "evaluator/device/virtual/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "evaluator/device/virtual/codes.h"
#include "evaluator/device/virtual/launch.h"

namespace assay::virtual_gpu {
namespace {

/// From the start of one block to the start of the next, as a GPU hands them out.
constexpr uint64_t kCyclesBetweenBlocks = 7;

/// Warp instructions of one slice: long enough to stay in the caches. Permuted schedules take
/// shorter ones of varying length, so that warps interleave differently.
uint64_t slice_length(const Launch& launch, uint64_t random) {
  return launch.schedule_seed == 0 ? 20000 : 100 + random % 4000;
}

uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

void prepare_storage(Block& block, const Launch& launch) {
  const uint32_t bytes = launch.shared_bytes();
  block.shared_storage.resize(bytes + 128);
  const auto address = reinterpret_cast<uintptr_t>(block.shared_storage.data());
  block.shared = block.shared_storage.data() + (128 - address % 128) % 128;
  // What nobody wrote is neither zero nor the same on every schedule.
  const uint64_t key = mixed(launch.schedule_seed + 1) | 0x0101010101010101u;
  for (uint32_t i = 0; i < bytes; i += 8) {
    const uint64_t word = key * (i + 0x9e3779b97f4a7c15u);
    memcpy(block.shared + i, &word, std::min<uint32_t>(8, bytes - i));
  }
}

/// Shared memory is watched in the natural order of blocks, and where no other block can reach it.
bool is_tracked(const Launch& launch) {
  return launch.schedule_seed == 0 && launch.shared_bytes() > 0 && launch.cluster.count() == 1;
}

void begin_warp(Warp& warp, Block& block, uint32_t index) {
  const Launch& launch = *block.launch;
  warp.block = &block;
  warp.index = index;
  warp.slots = launch.space->slots();
  warp.shared = block.shared;
  warp.shared_bytes = launch.shared_bytes();
  warp.track = is_tracked(launch);
  warp.parameters = launch.parameters.data();
  warp.parameter_bytes = static_cast<uint32_t>(launch.parameters.size());
  const uint32_t first = index * kLanes;
  const uint32_t lanes = std::min<uint32_t>(kLanes, block.threads - first);
  warp.present = lanes == kLanes ? kAllLanes : (1u << lanes) - 1;
  warp.live = warp.present;
  warp.cluster_arrived = 0;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const uint32_t thread = first + lane;
    warp.tid[0][lane] = thread % launch.block.x;
    warp.tid[1][lane] = thread / launch.block.x % launch.block.y;
    warp.tid[2][lane] = thread / launch.block.x / launch.block.y;
  }
  warp.state = WarpState::ready;
  warp.clock = 0;
  warp.rotate = false;
  warp.free_frames.clear();
  for (const auto& frame : warp.frames) warp.free_frames.push_back(frame.get());
  warp.splits.assign(1, Split{});
  warp.splits[0].mask = warp.present;
  make_frame(warp, *launch.program->entry, nullptr, warp.splits[0]);
}

std::string what_it_waits_for(const Split& split) {
  switch (split.state) {
    case Split::State::barrier:
      return fmt::format(
          "waits at barrier {} for threads that can never arrive: every thread of the block waits "
          "or has exited",
          split.barrier);
    case Split::State::cluster:
      return "waits at the cluster's barrier for threads that can never arrive: every thread of "
             "the cluster waits or has exited";
    default:
      return "waits for other threads of its warp that can never arrive";
  }
}

/// Block and rank coordinates of block number `order`.
void place_block(Block& block, const Launch& launch, uint64_t order) {
  const Dim3 grid = launch.grid, cluster = launch.cluster;
  const uint64_t number = cluster_number(launch, order / cluster.count());
  block.rank = static_cast<uint32_t>(order % cluster.count());
  const uint64_t columns = grid.x / cluster.x, rows = grid.y / cluster.y;
  block.ctaid[0] = static_cast<uint32_t>(number % columns * cluster.x + block.rank % cluster.x);
  block.ctaid[1] = static_cast<uint32_t>(number / columns % rows * cluster.y +
                                         block.rank / cluster.x % cluster.y);
  block.ctaid[2] = static_cast<uint32_t>(number / columns / rows * cluster.z +
                                         block.rank / cluster.x / cluster.y);
}

}  // namespace

void raise_deadlock(Block& block) {
  for (auto& warp : block.warps) {
    for (const Split& split : warp->splits) {
      warp->frame = split.frame;
      warp->rows = split.frame->rows;
      const Op& op = split.frame->code->ops[split.pc];
      raise(*warp, op, __builtin_ctz(split.mask), Fault::Kind::divergent_barrier,
            what_it_waits_for(split));
      return;
    }
  }
}

bool any_ready(const Block& block) {
  return std::ranges::any_of(block.warps,
                             [](const auto& warp) { return warp->state == WarpState::ready; });
}

void begin_block(Block& block, Launch& launch, Cluster& cluster, uint64_t order) {
  block.launch = &launch;
  block.cluster = &cluster;
  block.order = order;
  place_block(block, launch, order);
  block.threads = static_cast<uint32_t>(launch.block.count());
  block.exited = 0;
  block.clock = order * kCyclesBetweenBlocks;
  block.barriers = {};
  block.fault.reset();
  block.failed = false;
  block.done = false;
  prepare_storage(block, launch);
  if (is_tracked(launch)) {
    block.shadow.begin(launch.shared_bytes());
    block.races = launch.program->only_block_barriers;
  }
  const uint32_t warps = (block.threads + kLanes - 1) / kLanes;
  while (block.warps.size() < warps) block.warps.push_back(std::make_unique<Warp>());
  for (uint32_t i = 0; i < warps; ++i) begin_warp(*block.warps[i], block, i);
  block.warp_order.resize(warps);
  std::iota(block.warp_order.begin(), block.warp_order.end(), 0u);
  if (launch.schedule_seed != 0) {
    uint64_t random = mixed(launch.schedule_seed * 0x9e3779b97f4a7c15u + order);
    for (uint32_t i = warps; i > 1; --i) {
      random = mixed(random + i);
      std::swap(block.warp_order[i - 1], block.warp_order[random % i]);
    }
  }
}

BlockState run_block(Block& block) {
  const Launch& launch = *block.launch;
  const Executor& build = executor();
  bool all_done = true;
  for (const uint32_t index : block.warp_order) {
    Warp& warp = *block.warps[index];
    if (warp.state == WarpState::ready) {
      const uint64_t begin = warp.clock;
      warp.slice_end =
          begin + slice_length(launch, mixed(launch.schedule_seed + begin * 31 + index));
      const RunResult result = build.run_warp(warp);
      block.clock += warp.clock - begin;
      if (result == RunResult::fault) return BlockState::failed;
    }
    all_done &= warp.state == WarpState::done;
  }
  return all_done ? BlockState::done : BlockState::running;
}

}  // namespace assay::virtual_gpu
