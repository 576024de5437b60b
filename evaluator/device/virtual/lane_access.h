// Single lanes of rows, for handlers that work lane by lane.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "evaluator/device/virtual/block.h"

namespace assay::virtual_gpu {

inline uint64_t lane_bits(const Warp& warp, uint32_t offset, uint32_t bytes, int lane) {
  uint64_t value = 0;
  memcpy(&value, warp.rows + offset + static_cast<uint32_t>(lane) * bytes, bytes);
  return value;
}

inline void set_lane_bits(Warp& warp, uint32_t offset, uint32_t bytes, int lane, uint64_t value) {
  memcpy(warp.rows + offset + static_cast<uint32_t>(lane) * bytes, &value, bytes);
}

/// The address that a lane of a row holds, in generic form for shared memory.
inline uint64_t address_of(const Warp& warp, uint32_t offset, bool narrow, bool shared,
                           int64_t immediate, int lane) {
  uint64_t address = narrow ? uint64_t{static_cast<uint32_t>(lane_bits(warp, offset, 4, lane) +
                                                             static_cast<uint64_t>(immediate))}
                            : lane_bits(warp, offset, 8, lane) + static_cast<uint64_t>(immediate);
  if (shared) {
    const uint64_t window = warp.block->launch->space->window(Region::Kind::shared).address;
    // Beyond 4 GiB no offset of shared memory is right; stay in the window to say so.
    address = window + std::min<uint64_t>(address, 0xffffffffu);
  }
  return address;
}

}  // namespace assay::virtual_gpu
