// One memory access of a warp, and the parts of it that are not worth vectorising.
#pragma once

#include <cstddef>
#include <cstdint>

#include "evaluator/device/virtual/warp.h"

namespace assay::virtual_gpu {

enum class AccessShape : uint8_t {
  scattered,    // each active lane at an offset of its own
  uniform,      // all at offset[0]
  consecutive,  // all 32 lanes, lane i at offset[0] + i * bytes
};

/// What follows from the distances between the addresses of 32 lanes in shared memory, which are
/// the same whenever an instruction runs in most kernels.
struct SharedPattern {
  uint32_t bytes = 0;  // of one lane; 0: no pattern yet
  uint32_t phase = 0;  // the first lane's place in its word
  AccessShape shape = AccessShape::scattered;
  uint32_t conflicts = 0;  // bank conflicts
  uint32_t run_count = 0;
  struct Run {
    int32_t begin = 0;  // words from the first lane's word
    uint32_t words = 0;
  };
  alignas(64) uint32_t relative[32] = {};  // bytes from the first lane's address
  Run runs[32];                            // the words that any lane touches
};

struct Access {
  using Shape = AccessShape;
  Shape shape = Shape::scattered;
  bool tracked = false;  // shared memory through a generic address, with tracking on
  uint32_t bytes = 0;    // of one lane
  const SharedPattern* pattern = nullptr;  // of shared accesses that have one
  uintptr_t base = 0;                      // host address that offsets count from
  alignas(64) uint64_t offset[32];

  std::byte* scattered(int lane) const { return reinterpret_cast<std::byte*>(base + offset[lane]); }
  std::byte* at(int lane) const {
    switch (shape) {
      case Shape::uniform:
        return scattered(0);
      case Shape::consecutive:
        return scattered(0) + static_cast<size_t>(lane) * bytes;
      case Shape::scattered:
        break;
    }
    return scattered(lane);
  }
  void set(int lane, const std::byte* p) { offset[lane] = reinterpret_cast<uintptr_t>(p) - base; }
};

/// Any generic access, lane by lane: windows, several allocations, and faults (true).
bool locate_slowly(Warp& warp, const Op& op, uint32_t mask, bool write, Access& access);
/// An access to local memory by its own (not generic) addresses.
bool locate_local(Warp& warp, const Op& op, uint32_t mask, bool write, Access& access);
/// Reports the first lane of a shared access that is out of bounds or misaligned.
bool raise_shared(Warp& warp, const Op& op, uint32_t mask, bool write, uint32_t bytes,
                  size_t address_bytes);

void count_sectors(Warp& warp, bool write, uint64_t sectors);
uint64_t distinct_sectors(const uint64_t* offset, uint32_t mask);
/// Extra wavefronts of a shared access: the most words that one bank serves, less one, summed over
/// the groups of lanes that the hardware serves together.
uint32_t bank_conflicts(const Warp& warp, const Access& access, uint32_t mask);

void make_pattern(const Warp& warp, const Access& access, SharedPattern& pattern);

/// Shared-memory bookkeeping where warp.track is set; true: a race stopped the kernel.
bool track_read(Warp& warp, const Op& op, uint32_t mask, const Access& access);
bool store_tracked(Warp& warp, const Op& op, uint32_t mask, const Access& access);
/// Writes `value` to `p`, anywhere in memory.
bool track_write(Warp& warp, const Op& op, int lane, std::byte* p, const void* value,
                 uint32_t bytes);
/// An atomic operation is about to turn the bytes at `p` into `value`.
bool track_atomic(Warp& warp, const Op& op, int lane, std::byte* p, const void* value,
                  uint32_t bytes);

/// The host address of `bytes` bytes at a generic address for one lane; null: a fault was recorded.
std::byte* locate_lane(Warp& warp, const Op& op, int lane, uint64_t address, uint32_t bytes,
                       bool write);

}  // namespace assay::virtual_gpu
