#include "evaluator/device/virtual/memory_ops.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "evaluator/device/virtual/access.h"
#include "evaluator/device/virtual/block.h"
#include "evaluator/device/virtual/lane_access.h"

namespace assay::virtual_gpu {
namespace {

template <typename T>
uint64_t update(std::byte* p, const AtomicInfo& info, uint64_t b, uint64_t c) {
  auto* word = reinterpret_cast<T*>(p);
  T old = __atomic_load_n(word, __ATOMIC_RELAXED);
  T fresh = 0;
  do {
    fresh = static_cast<T>(info.update(old, b, c, 0));
  } while (
      !__atomic_compare_exchange_n(word, &old, fresh, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return old;
}

uint64_t apply(std::byte* p, const AtomicInfo& info, uint64_t b, uint64_t c) {
  switch (info.bytes) {
    case 2:
      return update<uint16_t>(p, info, b, c);
    case 4:
      return update<uint32_t>(p, info, b, c);
    default:
      return update<uint64_t>(p, info, b, c);
  }
}

/// An atomic of one lane in the block's own shared memory, which no other thread of the host
/// touches. True: a fault.
bool apply_shared(Warp& warp, const Op& op, int lane, std::byte* p, const AtomicInfo& info,
                  uint64_t b, uint64_t c) {
  uint64_t old = 0;
  memcpy(&old, p, info.bytes);
  const uint64_t fresh = info.update(old, b, c, 0);
  if (warp.track) {
    const auto word = static_cast<uint32_t>(p - warp.shared) / 4;
    const bool noted =
        info.bytes == 4 &&
        warp.block->shadow.note_atomic(word, warp.index, static_cast<uint32_t>(fresh) != old);
    if (!noted && track_atomic(warp, op, lane, p, &fresh, info.bytes)) return true;
  }
  memcpy(p, &fresh, info.bytes);
  if (info.returns) set_lane_bits(warp, op.r[0], info.bytes, lane, old);
  return false;
}

}  // namespace

bool run_atomic(Warp& warp, const Op& op, uint32_t mask) {
  const auto& info = *static_cast<const AtomicInfo*>(op.table);
  uint64_t global[kLanes] = {};
  uint32_t global_lanes = 0;
  uint32_t shared_lanes = 0;
  Access shared;
  shared.bytes = info.bytes;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t address = address_of(warp, op.r[4], info.narrow, info.shared, op.imm, lane);
    if (info.alignment > info.bytes && (address & (info.alignment - 1)) != 0) {
      return raise_address(warp, op, lane,
                           {address, info.alignment, true, true, false, Space::global});
    }
    std::byte* p = locate_lane(warp, op, lane, address, info.bytes, true);
    if (p == nullptr) return true;
    const uint64_t b = lane_bits(warp, op.r[1], info.bytes, lane);
    const uint64_t c = lane_bits(warp, op.r[2], info.bytes, lane);
    if (p >= warp.shared && p < warp.shared + warp.shared_bytes) {
      shared_lanes |= 1u << lane;
      shared.set(lane, p);
      if (apply_shared(warp, op, lane, p, info, b, c)) return true;
      continue;
    }
    if (region_at(warp.slots, address)->kind == Region::Kind::memory) {
      global_lanes |= 1u << lane;
      global[lane] = address;
    }
    const uint64_t old = apply(p, info, b, c);
    if (info.returns) set_lane_bits(warp, op.r[0], info.bytes, lane, old);
  }
  if (global_lanes != 0) count_sectors(warp, true, distinct_sectors(global, global_lanes));
  if (shared_lanes != 0) warp.counters.bank_conflicts += bank_conflicts(warp, shared, shared_lanes);
  return false;
}

bool run_copy_async(Warp& warp, const Op& op, uint32_t mask) {
  const auto& info = *static_cast<const CopyInfo*>(op.table);
  uint64_t sources[kLanes] = {};
  uint32_t reading = 0;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t target = address_of(warp, op.r[0], info.narrow, true, info.target_offset, lane);
    std::byte* to = locate_lane(warp, op, lane, target, info.bytes, true);
    if (to == nullptr) return true;
    uint32_t bytes = info.bytes;
    if (info.has_size) {
      bytes = std::min(bytes, static_cast<uint32_t>(lane_bits(warp, op.r[2], 4, lane)));
    }
    if (info.has_ignore) {
      const bool ignore =
          ((*row<uint32_t>(warp, op.r[3]) >> lane & 1) != 0) != info.ignore_inverted;
      if (ignore) bytes = 0;
    }
    unsigned char value[16] = {};
    if (bytes > 0) {
      const uint64_t source = address_of(warp, op.r[1], false, false, info.source_offset, lane);
      // Alignment is that of the whole copy, bounds those of the part that is read.
      if ((source & (info.bytes - 1)) != 0) {
        return raise_address(warp, op, lane,
                             {source, info.bytes, false, true, false, Space::global});
      }
      for (uint32_t at = 0; at < bytes;) {
        const uint32_t part = std::bit_floor(bytes - at);
        const std::byte* from = locate_lane(warp, op, lane, source + at, part, false);
        if (from == nullptr) return true;
        memcpy(value + at, from, part);
        at += part;
      }
      reading |= 1u << lane;
      sources[lane] = source;
    }
    if (warp.track) {
      if (track_write(warp, op, lane, to, value, info.bytes)) return true;
    } else {
      memcpy(to, value, info.bytes);
    }
  }
  if (reading != 0) count_sectors(warp, false, distinct_sectors(sources, reading));
  return false;
}

namespace {

uint32_t row_bytes(Move move) { return move <= Move::u16_16 ? 2 : move <= Move::u32_32 ? 4 : 8; }

bool sign_extends(Move move) {
  return move == Move::s8_16 || move == Move::s8_32 || move == Move::s16_32 ||
         move == Move::s8_64 || move == Move::s16_64 || move == Move::s32_64;
}

}  // namespace

bool load_blob(Warp& warp, const Op& op, uint32_t mask) {
  const uint32_t width = row_bytes(op.move);
  for (uint32_t v = 0; v < op.vector; ++v) {
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      const uint32_t at = op.r[4] + static_cast<uint32_t>(lane) * op.r[5] +
                          static_cast<uint32_t>(op.imm) + v * op.width;
      uint64_t value = 0;
      memcpy(&value, warp.rows + at, op.width);
      if (sign_extends(op.move)) {
        const uint32_t shift = 64 - 8u * op.width;
        value = static_cast<uint64_t>(static_cast<int64_t>(value << shift) >> shift);
      }
      set_lane_bits(warp, op.r[v], width, lane, value);
    }
  }
  return false;
}

bool store_blob(Warp& warp, const Op& op, uint32_t mask) {
  const uint32_t width = row_bytes(op.move);
  for (uint32_t v = 0; v < op.vector; ++v) {
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      const uint32_t at = op.r[4] + static_cast<uint32_t>(lane) * op.r[5] +
                          static_cast<uint32_t>(op.imm) + v * op.width;
      const uint64_t value = lane_bits(warp, op.r[v], width, lane);
      memcpy(warp.rows + at, &value, op.width);
    }
  }
  return false;
}

bool run_fence(Warp&, const Op&, uint32_t) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return false;
}

}  // namespace assay::virtual_gpu
