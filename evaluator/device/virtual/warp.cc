// Theory of operation
//
// A warp runs as a list of splits. While all lanes agree there is one, and the main loop
// (lanes.inc) executes each operation for all lanes at once. A branch that lanes disagree on makes
// two splits; the one with the lower program counter runs until it reaches or passes the other's,
// where they become one again if they stand at the same place. Compilers lay code out so that this
// meets at the end of an if or a loop. A split inside a function call runs before those that wait
// outside.
//
// A lane may spin on what another lane of its warp has to do first, so after some thousand
// instructions the split that waited longest runs for a while whatever its program counter.
//
// Operations with .sync wait ("park") until all lanes that they name have come to the same place.
// When nothing in a warp can run, parked splits are looked at again: lanes that have exited count
// as arrived, bar.warp.sync may be met at different places, and lanes that came to the same place
// through different calls of the same function are moved into one frame.
#include "evaluator/device/virtual/warp.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "evaluator/device/virtual/block.h"
#include "evaluator/device/virtual/cluster.h"

namespace assay::virtual_gpu {
namespace {

constexpr uint32_t kMaximumDepth = 1024;  // of calls
constexpr uint32_t kStackBytes =
    1024;                            // per thread where calls may recurse, as the driver's default
constexpr uint32_t kCallBytes = 16;  // of stack that any call takes, beside its local variables
constexpr uint32_t kMaximumLocalBytes = 512u << 10;  // per thread, as on hardware

void release_frame(Warp& warp, Frame* frame) {
  while (frame != nullptr && --frame->splits == 0) {
    warp.free_frames.push_back(frame);
    frame = frame->parent;
  }
}

void reserve_local(Warp& warp, uint32_t bytes) {
  if (bytes <= warp.local_stride) return;
  const uint32_t stride = std::max(bytes, std::min(2 * warp.local_stride, kMaximumLocalBytes));
  std::vector<std::byte> wider(size_t{stride} * kLanes, std::byte{0x7f});
  for (size_t lane = 0; lane < kLanes && warp.local_stride > 0; ++lane) {
    memcpy(wider.data() + lane * stride, warp.local.data() + lane * warp.local_stride,
           warp.local_stride);
  }
  warp.local = std::move(wider);
  warp.local_stride = stride;
}

Split& current(Warp& warp) { return warp.splits[warp.current]; }

/// Lanes of the current split that are not in `mask` go on at the next operation by themselves.
void leave_behind(Warp& warp, uint32_t mask) {
  Split& split = current(warp);
  if (split.mask == mask) return;
  Split rest = split;
  rest.mask = split.mask & ~mask;
  rest.pc = split.pc + 1;
  split.mask = mask;
  ++rest.frame->splits;
  warp.splits.push_back(rest);
}

void copy_blobs(const std::vector<Blob>& from, const std::byte* from_rows,
                const std::vector<Blob>& to, std::byte* to_rows, uint32_t mask) {
  for (size_t k = 0; k < from.size() && k < to.size(); ++k) {
    const uint32_t bytes = std::min(from[k].bytes, to[k].bytes);
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
      const auto lane = static_cast<uint32_t>(std::countr_zero(rest));
      memcpy(to_rows + to[k].offset + lane * to[k].stride,
             from_rows + from[k].offset + lane * from[k].stride, bytes);
    }
  }
}

Next call(Warp& warp, const Op& op, uint32_t mask) {
  const auto& site = *static_cast<const CallSite*>(op.table);
  uint32_t function = site.function;
  if (function == kNone) {
    // Through a pointer: lanes that call the same function go together.
    const uint64_t* addresses = row<uint64_t>(warp, site.target);
    const int first = std::countr_zero(mask);
    const uint64_t address = addresses[first];
    uint32_t same = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      if ((mask >> lane & 1) != 0 && addresses[lane] == address) same |= 1u << lane;
    }
    const auto& codes = warp.block->launch->program->codes;
    const Region& window = warp.block->launch->space->window(Region::Kind::code);
    const uint64_t index = (address - window.address) / 16;
    if (address < window.address || index >= codes.size() || codes[index] == nullptr) {
      raise(warp, op, first, Fault::Kind::illegal_address,
            "a call through a pointer that is no device function of this module");
      return Next::fault;
    }
    function = static_cast<uint32_t>(index);
    if (same != mask) {
      Split rest = current(warp);
      rest.mask = mask & ~same;
      ++rest.frame->splits;
      current(warp).mask = same;
      warp.splits.push_back(rest);
      mask = same;
    }
  }
  const Code& code = *warp.block->launch->program->codes[function];
  Frame* caller = warp.frame;
  const uint32_t local = caller->local_base + caller->code->local_bytes + code.local_bytes;
  const uint32_t depth = caller->depth + 1;
  const uint64_t stack =
      local - warp.block->launch->program->entry->local_bytes + uint64_t{depth} * kCallBytes;
  const bool too_deep = warp.block->launch->program->recursive && stack > kStackBytes;
  if (too_deep || depth >= kMaximumDepth || local > kMaximumLocalBytes) {
    raise(warp, op, std::countr_zero(mask), Fault::Kind::stack_overflow,
          fmt::format("the call stack of {} bytes a thread is exhausted {} calls deep (recursion "
                      "without end?)",
                      too_deep ? kStackBytes : kMaximumLocalBytes, depth));
    return Next::fault;
  }
  Split& split = current(warp);
  make_frame(warp, code, caller, split);
  Frame* frame = split.frame;
  frame->site = &site;
  frame->return_pc = split.pc + 1;
  copy_blobs(site.arguments, caller->rows, code.parameters, frame->rows, mask);
  split.pc = 0;
  return Next::select;
}

Next exit_lanes(Warp& warp, uint32_t mask) {
  Split& split = current(warp);
  Frame* frame = split.frame;
  warp.live &= ~mask;
  warp.block->exited += static_cast<uint32_t>(std::popcount(mask));
  warp.splits.erase(warp.splits.begin() + static_cast<ptrdiff_t>(warp.current));
  release_frame(warp, frame);
  leave_cluster(warp, mask);
  release_barriers(*warp.block);
  return warp.block->failed ? Next::fault : Next::select;
}

Next leave(Warp& warp, uint32_t mask) {
  Split& split = current(warp);
  Frame* frame = split.frame;
  Frame* caller = frame->parent;
  if (caller == nullptr) return exit_lanes(warp, mask);
  copy_blobs(frame->code->results, frame->rows, frame->site->results, caller->rows, mask);
  split.pc = frame->return_pc;
  split.frame = caller;
  ++caller->splits;
  release_frame(warp, frame);
  return Next::select;
}

Next branch_table(Warp& warp, const Op& op, uint32_t mask) {
  const auto& targets = static_cast<const Targets*>(op.table)->pcs;
  const uint32_t* index = row<uint32_t>(warp, op.r[0]);
  const int first = std::countr_zero(mask);
  if (index[first] >= targets.size()) {
    raise(warp, op, first, Fault::Kind::trap, "a branch beyond the end of its table");
    return Next::fault;
  }
  uint32_t same = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0 && index[lane] == index[first]) same |= 1u << lane;
  }
  if (same != mask) {
    Split rest = current(warp);
    rest.mask = mask & ~same;
    ++rest.frame->splits;
    warp.splits.push_back(rest);
  }
  current(warp).mask = same;
  current(warp).pc = targets[index[first]];
  return Next::select;
}

// .sync operations.

const Op& op_of(const Split& split) { return split.frame->code->ops[split.pc]; }

uint32_t needed(const Warp& warp, const Split& split) {
  const auto* members = reinterpret_cast<const uint32_t*>(split.frame->rows + op_of(split).r[5]);
  uint32_t all = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((split.mask >> lane & 1) != 0) all |= members[lane];
  }
  return all & warp.live;
}

Next park(Warp& warp, const Op& op, uint32_t mask) {
  const auto* members = row<uint32_t>(warp, op.r[5]);
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0 && (members[lane] >> lane & 1) == 0) {
      raise(warp, op, lane, Fault::Kind::divergent_barrier,
            "a thread that is not in the member mask executes a warp-synchronous instruction");
      return Next::fault;
    }
  }
  Split& split = current(warp);
  split.state = Split::State::warp_sync;
  for (Split& other : warp.splits) {
    if (&other == &split || other.state != Split::State::warp_sync || other.pc != split.pc ||
        other.frame != split.frame) {
      continue;
    }
    split.mask |= other.mask;
    other.mask = 0;
    --other.frame->splits;
  }
  if ((needed(warp, split) & ~split.mask) == 0) split.state = Split::State::ready;
  return Next::select;
}

bool can_join(const Frame& a, const Frame& b) {
  return a.code == b.code && a.parent == b.parent && a.site == b.site && a.return_pc == b.return_pc;
}

/// Copies the lanes of `mask` from one frame to another of the same function.
void move_lanes(const Code& code, const std::byte* from, std::byte* to, uint32_t mask) {
  const auto move_bits = [&](uint32_t offset) {
    uint32_t source = 0;
    uint32_t target = 0;
    memcpy(&source, from + offset, 4);
    memcpy(&target, to + offset, 4);
    target = (target & ~mask) | (source & mask);
    memcpy(to + offset, &target, 4);
  };
  move_bits(kCarryRow);
  for (const RowLayout& layout : code.rows) {
    if (layout.width == 0) {
      move_bits(layout.offset);
      continue;
    }
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
      const uint32_t at =
          layout.offset + static_cast<uint32_t>(std::countr_zero(rest)) * layout.width;
      memcpy(to + at, from + at, layout.width);
    }
  }
}

/// Parked splits at the same place in different calls of a function become one; true if any did.
bool join_frames(Warp& warp) {
  bool joined = false;
  for (size_t i = 0; i < warp.splits.size(); ++i) {
    Split& a = warp.splits[i];
    if (a.state != Split::State::warp_sync || a.mask == 0) continue;
    for (size_t j = i + 1; j < warp.splits.size(); ++j) {
      Split& b = warp.splits[j];
      if (b.state != Split::State::warp_sync || b.mask == 0 || a.pc != b.pc || a.frame == b.frame ||
          !can_join(*a.frame, *b.frame) || b.frame->splits != 1) {
        continue;
      }
      move_lanes(*a.frame->code, b.frame->rows, a.frame->rows, b.mask);
      a.mask |= b.mask;
      b.mask = 0;
      release_frame(warp, b.frame);
      b.frame = nullptr;
      joined = true;
    }
  }
  return joined;
}

bool is_plain_barrier(const Op& op) { return op.imm == kWarpBarrier; }

/// bar.warp.sync may be met at different places.
bool join_barriers(Warp& warp) {
  uint32_t waiting = 0;
  for (const Split& split : warp.splits) {
    if (split.state == Split::State::warp_sync && is_plain_barrier(op_of(split))) {
      waiting |= split.mask;
    }
  }
  bool woken = false;
  for (Split& split : warp.splits) {
    if (split.state != Split::State::warp_sync || !is_plain_barrier(op_of(split))) continue;
    if ((needed(warp, split) & ~waiting) != 0) continue;
    ++split.pc;
    split.state = Split::State::ready;
    woken = true;
  }
  return woken;
}

void remove_empty(Warp& warp) {
  std::erase_if(warp.splits, [](const Split& split) { return split.mask == 0; });
}

/// Nothing in the warp is ready: looks at parked splits again.
bool unpark(Warp& warp) {
  bool woken = false;
  for (Split& split : warp.splits) {
    if (split.state == Split::State::warp_sync && (needed(warp, split) & ~split.mask) == 0) {
      split.state = Split::State::ready;
      woken = true;
    }
  }
  if (woken) return true;
  if (join_frames(warp)) {
    remove_empty(warp);
    return true;  // the caller looks again
  }
  return join_barriers(warp);
}

void merge_ready(Warp& warp) {
  auto& splits = warp.splits;
  for (size_t i = 0; i < splits.size(); ++i) {
    if (splits[i].state != Split::State::ready) continue;
    for (size_t j = i + 1; j < splits.size();) {
      if (splits[j].state == Split::State::ready && splits[j].pc == splits[i].pc &&
          splits[j].frame == splits[i].frame) {
        splits[i].mask |= splits[j].mask;
        --splits[j].frame->splits;
        splits.erase(splits.begin() + static_cast<ptrdiff_t>(j));
      } else {
        ++j;
      }
    }
  }
}

bool runs_before(const Split& a, const Split& b) {
  return a.frame->depth != b.frame->depth ? a.frame->depth > b.frame->depth : a.pc < b.pc;
}

}  // namespace

void make_frame(Warp& warp, const Code& code, Frame* parent, Split& split) {
  Frame* frame = nullptr;
  for (size_t i = warp.free_frames.size(); i-- > 0;) {
    if (warp.free_frames[i]->code != &code) continue;
    frame = warp.free_frames[i];
    warp.free_frames.erase(warp.free_frames.begin() + static_cast<ptrdiff_t>(i));
    break;
  }
  if (frame == nullptr) {
    frame = warp.frames.emplace_back(std::make_unique<Frame>()).get();
    frame->memory.resize(code.image.size() + 64);
    const auto address = reinterpret_cast<uintptr_t>(frame->memory.data());
    frame->rows = frame->memory.data() + (64 - address % 64) % 64;
    frame->code = &code;
  }
  // What nobody wrote is the same on every run.
  memcpy(frame->rows, code.image.data(), code.image.size());
  frame->parent = parent;
  frame->site = nullptr;
  frame->return_pc = 0;
  frame->depth = parent == nullptr ? 0 : parent->depth + 1;
  frame->local_base = parent == nullptr ? 0 : parent->local_base + parent->code->local_bytes;
  frame->splits = 1;  // the caller's split moves here; its reference to the parent becomes ours
  reserve_local(warp, frame->local_base + code.local_bytes);
  split.frame = frame;
}

void diverge(Warp& warp, uint32_t taken, uint32_t target) {
  Split& split = current(warp);
  Split other = split;
  other.mask = taken;
  other.pc = target;
  split.mask &= ~taken;
  ++split.pc;
  ++split.frame->splits;
  warp.splits.push_back(other);
}

bool select_split(Warp& warp, uint32_t& stop_pc) {
  stop_pc = kNone;
  if (warp.splits.size() > 1) {
    remove_empty(warp);
    merge_ready(warp);
  }
  Split* best = nullptr;
  while (true) {
    for (Split& split : warp.splits) {
      if (split.state != Split::State::ready) continue;
      const bool better = best == nullptr || (warp.rotate ? split.last_run < best->last_run
                                                          : runs_before(split, *best));
      if (better) best = &split;
    }
    if (best != nullptr) break;
    if (warp.splits.empty()) {
      warp.state = WarpState::done;
      return false;
    }
    if (!unpark(warp)) {
      warp.state = WarpState::waiting;
      return false;
    }
    merge_ready(warp);
  }
  warp.state = WarpState::ready;
  if (warp.splits.size() > 1 && !warp.rotate) {
    for (const Split& split : warp.splits) {
      if (&split != best && split.state == Split::State::ready && split.frame == best->frame) {
        stop_pc = std::min(stop_pc, split.pc);
      }
    }
  }
  best->last_run = ++warp.selections;
  warp.current = static_cast<size_t>(best - warp.splits.data());
  warp.frame = best->frame;
  warp.rows = best->frame->rows;
  warp.local_top = best->frame->local_base + best->frame->code->local_bytes;
  warp.rotating = warp.rotate;
  warp.rotate = false;
  return true;
}

Next control(Warp& warp, const Op& op, uint32_t mask) {
  if (op.control == Control::branch) {
    diverge(warp, mask, op.r[0]);
    return Next::select;
  }
  leave_behind(warp, mask);
  switch (op.control) {
    case Control::table:
      return branch_table(warp, op, mask);
    case Control::call:
      return call(warp, op, mask);
    case Control::leave:
      return leave(warp, mask);
    case Control::exit:
      return exit_lanes(warp, mask);
    case Control::barrier:
      return arrive(warp, op, mask);
    case Control::cluster_arrive:
      return arrive_at_cluster(warp, op, mask);
    case Control::cluster_wait:
      return wait_for_cluster(warp, mask);
    case Control::warp_sync:
      return park(warp, op, mask);
    case Control::yield:
      ++current(warp).pc;
      warp.rotate = warp.splits.size() > 1;
      return Next::pause;
    case Control::external:
      return call_external(warp, op, mask);
    case Control::trap:
      raise(warp, op, std::countr_zero(mask), Fault::Kind::trap, "the kernel executed a trap");
      return Next::fault;
    case Control::unsupported:
      raise(warp, op, std::countr_zero(mask), Fault::Kind::unsupported,
            warp.frame->code->problems[static_cast<size_t>(op.imm)]);
      return Next::fault;
    case Control::plain:
    case Control::branch:
      break;
  }
  return Next::select;
}

}  // namespace assay::virtual_gpu
