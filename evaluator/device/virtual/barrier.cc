// bar and barrier: the 16 barriers of a block.
//
// Threads are counted, not warps: lanes of one warp may arrive one after the other. A barrier of
// the whole block is complete when all threads that have not exited have arrived. A barrier with a
// thread count is used by whole warps, so the lanes that a warp lacks (because the block ends
// within it, or because they exited) arrive with the last of those it has.
#include <fmt/format.h>

#include <bit>

#include "evaluator/device/virtual/block.h"

namespace assay::virtual_gpu {
namespace {

bool waits(const Split& split, uint32_t id) {
  return split.state == Split::State::barrier && split.barrier == id;
}

bool complete(const Block& block, const Barrier& barrier) {
  if (!barrier.in_use) return false;
  if (barrier.expected != 0) return barrier.arrived >= barrier.expected;
  return barrier.arrived + block.exited >= block.threads;
}

/// Lanes of one warp that wait at different .aligned barriers: not a barrier of the whole warp.
bool raise_divergent(Warp& warp, uint32_t id) {
  const Split* first = nullptr;
  for (const Split& split : warp.splits) {
    if (!waits(split, id)) continue;
    const Op& op = split.frame->code->ops[split.pc];
    if ((op.imm & kAlignedBarrier) == 0) continue;
    if (first == nullptr) {
      first = &split;
    } else if (first->frame->code != split.frame->code || first->pc != split.pc) {
      warp.frame = split.frame;
      const Code& code = *first->frame->code;
      const Op& other = code.ops[first->pc];
      const uint32_t line =
          source_line(*warp.block->launch->program->module, *code.source, other.source);
      return raise(warp, op, std::countr_zero(split.mask), Fault::Kind::divergent_barrier,
                   fmt::format("threads of one warp wait at different barriers, thread {} of the "
                               "warp at another one{}",
                               std::countr_zero(first->mask),
                               line != 0 ? fmt::format(" (line {})", line) : ""));
    }
  }
  return false;
}

void write_vote(Split& split, const Op& op, const Barrier& barrier) {
  const int64_t kind = op.imm & ~kAlignedBarrier;
  if (kind == static_cast<int64_t>(BarrierKind::popc)) {
    auto* d = reinterpret_cast<uint32_t*>(split.frame->rows + op.r[0]);
    for (int lane = 0; lane < kLanes; ++lane) {
      if ((split.mask >> lane & 1) != 0) d[lane] = barrier.true_votes;
    }
  } else if (kind == static_cast<int64_t>(BarrierKind::all_of) ||
             kind == static_cast<int64_t>(BarrierKind::any_of)) {
    auto* d = reinterpret_cast<uint32_t*>(split.frame->rows + op.r[0]);
    const bool value = kind == static_cast<int64_t>(BarrierKind::all_of)
                           ? barrier.true_votes == barrier.votes
                           : barrier.true_votes > 0;
    *d = value ? *d | split.mask : *d & ~split.mask;
  }
}

void release(Block& block, uint32_t id) {
  Barrier& barrier = block.barriers[id];
  for (auto& warp : block.warps) {
    if (raise_divergent(*warp, id)) return;
  }
  for (auto& warp : block.warps) {
    for (Split& split : warp->splits) {
      if (!waits(split, id)) continue;
      write_vote(split, split.frame->code->ops[split.pc], barrier);
      ++split.pc;
      split.state = Split::State::ready;
      warp->state = WarpState::ready;
    }
  }
  if (barrier.expected == 0 || barrier.expected >= block.threads) block.shadow.next_epoch();
  barrier = Barrier{};
}

}  // namespace

void release_barriers(Block& block) {
  for (uint32_t id = 0; id < block.barriers.size() && !block.failed; ++id) {
    if (complete(block, block.barriers[id])) release(block, id);
  }
}

Next arrive(Warp& warp, const Op& op, uint32_t mask) {
  Block& block = *warp.block;
  const int first = std::countr_zero(mask);
  const uint32_t id = row<uint32_t>(warp, op.r[1])[first];
  const uint32_t count = op.vector != 0 ? row<uint32_t>(warp, op.r[2])[first] : 0;
  if (id >= block.barriers.size() || count % kLanes != 0 ||
      count > (block.threads + kLanes - 1) / kLanes * kLanes) {
    raise(warp, op, first, Fault::Kind::divergent_barrier,
          fmt::format(
              "barrier {} with {} threads: barriers are 0 to 15, and the number of threads is "
              "a multiple of 32 up to the block's {}",
              id, count, block.threads));
    return Next::fault;
  }
  Barrier& barrier = block.barriers[id];
  barrier.in_use = true;
  if (count != 0) barrier.expected = count;
  barrier.arrived += static_cast<uint32_t>(std::popcount(mask));
  Split& split = warp.splits[warp.current];
  uint32_t here = mask;
  for (const Split& other : warp.splits) {
    if (&other != &split && waits(other, id)) here |= other.mask;
  }
  if (count != 0 && here == warp.live) {
    barrier.arrived += static_cast<uint32_t>(kLanes - std::popcount(warp.live));
  }
  const int64_t kind = op.imm & ~kAlignedBarrier;
  if (kind >= static_cast<int64_t>(BarrierKind::popc)) {
    uint32_t votes = *row<uint32_t>(warp, op.r[3]);
    if (op.width != 0) votes = ~votes;  // a negated predicate
    barrier.votes += static_cast<uint32_t>(std::popcount(mask));
    barrier.true_votes += static_cast<uint32_t>(std::popcount(votes & mask));
  }
  if (kind == static_cast<int64_t>(BarrierKind::arrive)) {
    ++split.pc;
  } else {
    split.state = Split::State::barrier;
    split.barrier = static_cast<uint8_t>(id);
  }
  release_barriers(block);
  return block.failed ? Next::fault : Next::select;
}

}  // namespace assay::virtual_gpu
