// A warp while it runs: its register frames, its splits and what operations need at hand.
//
// Lanes that took different ways are different splits, each with a program counter, a frame and a
// mask. The split in the deepest frame with the lowest program counter runs first, so that splits
// meet again after a branch; when they stand at the same place in the same frame they become one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "evaluator/device/virtual/memory.h"
#include "evaluator/device/virtual/program.h"

namespace assay::virtual_gpu {

struct Block;

struct Frame {
  const Code* code = nullptr;
  Frame* parent = nullptr;
  const CallSite* site = nullptr;  // the call that made it
  uint32_t return_pc = 0;
  uint32_t depth = 0;
  uint32_t local_base = 0;    // of its local variables, in each thread's local memory
  uint32_t splits = 0;        // splits and child frames that refer to it
  std::byte* rows = nullptr;  // aligned to 64 bytes, in `memory`
  std::vector<std::byte> memory;
};

struct Split {
  enum class State : uint8_t { ready, barrier, warp_sync, cluster };
  uint32_t pc = 0;
  uint32_t mask = 0;
  Frame* frame = nullptr;
  State state = State::ready;
  uint8_t barrier = 0;    // number of the barrier it waits for
  uint64_t last_run = 0;  // time stamp, for rotation
};

struct Counters {
  uint64_t lane_instructions = 0;
  uint64_t warp_instructions = 0;
  uint64_t load_sectors = 0;
  uint64_t store_sectors = 0;
  uint64_t bank_conflicts = 0;
  uint64_t uninitialised_reads = 0;
};

enum class WarpState : uint8_t { ready, waiting, done };

struct Warp {
  // For operations.
  std::byte* rows = nullptr;  // of the current frame
  Frame* frame = nullptr;
  Block* block = nullptr;
  const Region* const* slots = nullptr;
  std::byte* shared = nullptr;  // first byte of the block's shared memory
  uint32_t shared_bytes = 0;
  bool track = false;  // shared-memory races and uninitialised reads
  uint32_t index = 0;  // in the block
  const std::byte* parameters = nullptr;
  uint32_t parameter_bytes = 0;
  std::vector<std::byte> local;  // lane after lane, local_stride bytes each
  uint32_t local_stride = 0;
  uint32_t local_top = 0;  // local memory in use by the current frame and its callers
  alignas(64) uint32_t tid[3][32] = {};
  Counters counters;

  // For the scheduler.
  std::vector<Split> splits;
  size_t current = 0;
  uint32_t present = 0;          // lanes that exist
  uint32_t live = 0;             // lanes that have not exited
  uint32_t cluster_arrived = 0;  // lanes that arrived at the cluster's barrier, phase not complete
  WarpState state = WarpState::ready;
  uint64_t clock = 0;       // warp instructions since the block began
  uint64_t slice_end = 0;   // clock at which the warp yields
  bool rotate = false;      // the split that waited longest is to run next
  bool rotating = false;    // it is running
  uint64_t selections = 0;  // time stamp of splits
  std::vector<std::unique_ptr<Frame>> frames;
  std::vector<Frame*> free_frames;
};

template <typename T>
inline T* row(Warp& warp, uint32_t offset) {
  return reinterpret_cast<T*>(__builtin_assume_aligned(warp.rows + offset, 4));
}

}  // namespace assay::virtual_gpu
