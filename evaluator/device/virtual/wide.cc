#include "evaluator/device/virtual/wide.h"

#include <bit>
#include <cstring>
#include <mutex>

#include "evaluator/device/virtual/access.h"
#include "evaluator/device/virtual/block.h"
#include "evaluator/device/virtual/lane_access.h"

namespace assay::virtual_gpu {
namespace {

constexpr uint32_t kBytes = 16;

struct Wide {
  uint64_t low = 0, high = 0;
  bool operator==(const Wide&) const = default;
};
static_assert(sizeof(Wide) == kBytes);

Wide wide_of(const Warp& warp, uint32_t offset, int lane) {
  Wide value;
  memcpy(&value, warp.rows + offset + static_cast<uint32_t>(lane) * kBytes, kBytes);
  return value;
}

void set_wide(Warp& warp, uint32_t offset, int lane, const Wide& value) {
  memcpy(warp.rows + offset + static_cast<uint32_t>(lane) * kBytes, &value, kBytes);
}

}  // namespace

bool run_wide_join(Warp& warp, const Op& op, uint32_t mask) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    set_wide(warp, op.r[0], lane,
             {lane_bits(warp, op.r[1], 8, lane), lane_bits(warp, op.r[2], 8, lane)});
  }
  return false;
}

bool run_wide_split(Warp& warp, const Op& op, uint32_t mask) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const Wide value = wide_of(warp, op.r[2], lane);
    set_lane_bits(warp, op.r[0], 8, lane, value.low);
    set_lane_bits(warp, op.r[1], 8, lane, value.high);
  }
  return false;
}

bool run_wide_atomic(Warp& warp, const Op& op, uint32_t mask) {
  static std::mutex one_at_a_time;  // among the blocks that run on other threads
  const auto& info = *static_cast<const WideAtomicInfo*>(op.table);
  uint64_t addresses[kLanes] = {};
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t address = address_of(warp, op.r[4], info.narrow, info.shared, op.imm, lane);
    std::byte* p = locate_lane(warp, op, lane, address, kBytes, true);
    if (p == nullptr) return true;
    addresses[lane] = address;
    const Wide b = wide_of(warp, op.r[1], lane), c = wide_of(warp, op.r[2], lane);
    Wide old, fresh;
    {
      const std::lock_guard lock(one_at_a_time);
      memcpy(&old, p, kBytes);
      fresh = !info.compare ? b : old == b ? c : old;
      if (track_atomic(warp, op, lane, p, &fresh, kBytes)) return true;
      memcpy(p, &fresh, kBytes);
    }
    set_wide(warp, op.r[0], lane, old);
  }
  if (!info.shared) count_sectors(warp, true, distinct_sectors(addresses, mask));
  return false;
}

}  // namespace assay::virtual_gpu
