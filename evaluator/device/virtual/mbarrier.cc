// mbarrier objects and the bulk copies that complete them.
//
// The 8 bytes of an object are ours to lay out: bit 63 the phase, bits 42 to 61 the expected
// arrivals, bits 22 to 41 the pending ones, bits 0 to 21 the pending transaction bytes as a signed
// number. Copies are done when they are issued, so their bytes are complete at once.
#include <bit>

#include "evaluator/device/virtual/access.h"
#include "evaluator/device/virtual/lane_access.h"
#include "evaluator/device/virtual/memory_ops.h"

namespace assay::virtual_gpu {
namespace {

constexpr uint32_t kCountMask = 0xfffff;
constexpr uint32_t kBytesMask = 0x3fffff;

struct Object {
  bool phase = false;
  uint32_t expected = 0, pending = 0, bytes = 0;

  static Object from(uint64_t word) {
    return {word >> 63 != 0, static_cast<uint32_t>(word >> 42) & kCountMask,
            static_cast<uint32_t>(word >> 22) & kCountMask,
            static_cast<uint32_t>(word) & kBytesMask};
  }
  uint64_t word() const {
    return uint64_t{phase} << 63 | uint64_t{expected & kCountMask} << 42 |
           uint64_t{pending & kCountMask} << 22 | (bytes & kBytesMask);
  }
  void settle() {
    if ((pending & kCountMask) != 0 || (bytes & kBytesMask) != 0) return;
    phase = !phase;
    pending = expected;
  }
};

void perform(Object& object, MbarrierKind kind, uint32_t count) {
  switch (kind) {
    case MbarrierKind::init:
      object = {false, count, count, 0};
      break;
    case MbarrierKind::invalidate:
      object = {};
      break;
    case MbarrierKind::arrive_drop:
      object.expected -= count;
      object.pending -= count;
      object.settle();
      break;
    case MbarrierKind::arrive:
      object.pending -= count;
      object.settle();
      break;
    case MbarrierKind::expect:
      object.bytes += count;
      break;
    case MbarrierKind::complete:
      object.bytes -= count;
      object.settle();
      break;
    case MbarrierKind::arrive_expect:
      object.bytes += count;
      object.pending -= 1;
      object.settle();
      break;
    case MbarrierKind::test_state:
    case MbarrierKind::test_parity:
      break;
  }
}

}  // namespace

uint64_t mbarrier_pending(uint64_t state, uint64_t, uint64_t, uint64_t) {
  return Object::from(state).pending;
}

bool run_mbarrier(Warp& warp, const Op& op, uint32_t mask) {
  const auto& info = *static_cast<const MbarrierInfo*>(op.table);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t address = address_of(warp, op.r[4], info.narrow, info.shared, op.imm, lane);
    const bool tests =
        info.kind == MbarrierKind::test_state || info.kind == MbarrierKind::test_parity;
    std::byte* p = locate_lane(warp, op, lane, address, 8, !tests);
    if (p == nullptr) return true;
    uint64_t word = 0;
    memcpy(&word, p, 8);
    Object object = Object::from(word);
    if (tests) {
      const bool awaited = info.kind == MbarrierKind::test_state
                               ? lane_bits(warp, op.r[1], 8, lane) >> 63 != 0
                               : (lane_bits(warp, op.r[1], 4, lane) & 1) != 0;
      uint32_t& d = *row<uint32_t>(warp, op.r[0]);
      const uint32_t bit = 1u << lane;
      d = object.phase != awaited ? d | bit : d & ~bit;
      continue;
    }
    if (info.returns) memcpy(warp.rows + op.r[0] + static_cast<uint32_t>(lane) * 8, &word, 8);
    const uint32_t count =
        info.has_count ? static_cast<uint32_t>(lane_bits(warp, op.r[1], 4, lane)) : 1;
    perform(object, info.kind, count);
    const uint64_t fresh = object.word();
    if (warp.track) {
      if (track_write(warp, op, lane, p, &fresh, 8)) return true;
    } else {
      memcpy(p, &fresh, 8);
    }
  }
  return false;
}

bool run_bulk_copy(Warp& warp, const Op& op, uint32_t mask) {
  const auto& info = *static_cast<const BulkInfo*>(op.table);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t to =
        address_of(warp, op.r[0], info.narrow_target, info.to_shared, info.target_offset, lane);
    const uint64_t from =
        address_of(warp, op.r[1], info.narrow_source, info.from_shared, info.source_offset, lane);
    const auto bytes = static_cast<uint32_t>(lane_bits(warp, op.r[2], 4, lane));
    if (bytes % 16 != 0) {
      return raise_address(warp, op, lane, {from, 16, false, true, false, Space::global});
    }
    for (uint32_t at = 0; at < bytes; at += 16) {
      const std::byte* source = locate_lane(warp, op, lane, from + at, 16, false);
      if (source == nullptr) return true;
      std::byte* target = locate_lane(warp, op, lane, to + at, 16, true);
      if (target == nullptr) return true;
      unsigned char part[16];
      memcpy(part, source, 16);
      if (warp.track) {
        if (track_write(warp, op, lane, target, part, 16)) return true;
      } else {
        memcpy(target, part, 16);
      }
    }
    if (!info.to_shared || !info.from_shared) {
      count_sectors(warp, !info.to_shared, (bytes + 31) / 32);
    }
    if (!info.has_barrier) continue;
    const uint64_t barrier =
        address_of(warp, op.r[3], info.narrow_barrier, true, info.barrier_offset, lane);
    std::byte* p = locate_lane(warp, op, lane, barrier, 8, true);
    if (p == nullptr) return true;
    uint64_t word = 0;
    memcpy(&word, p, 8);
    Object object = Object::from(word);
    perform(object, MbarrierKind::complete, bytes);
    word = object.word();
    memcpy(p, &word, 8);
  }
  return false;
}

}  // namespace assay::virtual_gpu
