// A block of threads while it runs, and the launch that it belongs to.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "evaluator/device/device.h"
#include "evaluator/device/virtual/access.h"
#include "evaluator/device/virtual/memory.h"
#include "evaluator/device/virtual/program.h"
#include "evaluator/device/virtual/shadow.h"
#include "evaluator/device/virtual/warp.h"

namespace assay::virtual_gpu {

/// What all blocks of a launch share. Read-only while they run, except where said.
struct Launch {
  const Program* program = nullptr;
  AddressSpace* space = nullptr;
  std::string kernel;  // as messages call it
  Dim3 grid, block;
  Dim3 cluster;  // blocks; (1,1,1) without clusters
  bool explicit_cluster = false;
  uint32_t dynamic_shared_bytes = 0;
  std::vector<std::byte> parameters;
  uint64_t workspace = 0;  // of a cooperative launch: what %envreg1 and %envreg2 say
  uint32_t schedule_seed = 0;
  uint64_t clock_start = 0;  // what clocks show when the launch begins
  uint32_t operation = 0;
  uint32_t multiprocessors = 132;
  uint64_t budget = 0;  // instructions left, of all lanes of a warp
  std::chrono::steady_clock::time_point deadline;

  // Written by all threads.
  std::atomic<uint64_t> used{0};  // of the budget
  std::atomic<uint64_t> fault_order{~uint64_t{0}};
  std::atomic<bool> over{false};  // budget or deadline exhausted
  std::mutex mutex;               // of what follows
  std::optional<Fault> fault;     // of the first faulting block in launch order
  Counters counters;
  std::vector<std::string> notes;
  std::string* printed = nullptr;  // of the whole plan

  uint32_t shared_bytes() const { return program->static_shared_bytes + dynamic_shared_bytes; }
};

/// One of the block's 16 barriers.
struct Barrier {
  uint32_t arrived = 0;   // threads
  uint32_t expected = 0;  // threads; 0: all of the block
  uint32_t true_votes = 0;
  uint32_t votes = 0;
  bool in_use = false;
};

struct Cluster;

struct Block {
  Launch* launch = nullptr;
  Cluster* cluster = nullptr;
  uint32_t rank = 0;   // in the cluster
  uint64_t order = 0;  // position in the launch's order
  uint32_t ctaid[3] = {0, 0, 0};
  uint32_t threads = 0;
  uint32_t exited = 0;  // threads
  uint64_t clock = 0;   // when it began, and warp instructions of all warps since
  std::vector<std::unique_ptr<Warp>> warps;
  std::vector<uint32_t> warp_order;
  std::vector<std::byte> shared_storage;
  std::byte* shared = nullptr;
  std::array<Barrier, 16> barriers;
  SharedShadow shadow;
  bool races = false;  // look for shared-memory races
  std::array<SharedPattern, 8> patterns;
  std::optional<Fault> fault;
  bool failed = false;
  bool done = false;
};

/// Prepares `block` (new or used before by the same launch) to run as number `order`. Blocks of a
/// cluster follow each other in this order.
void begin_block(Block& block, Launch& launch, Cluster& cluster, uint64_t order);

enum class BlockState : uint8_t { running, done, failed };
/// Lets every warp run for a slice.
BlockState run_block(Block& block);
/// Whether any warp of the block can run.
bool any_ready(const Block& block);
/// For a block that is not done, while no warp of its cluster can run.
void raise_deadlock(Block& block);

// Control operations: what the main loop of a warp leaves to warp.cc and barrier.cc.

/// How the main loop goes on.
enum class Next : uint8_t {
  same,    // the current split, at its pc
  select,  // choose a split
  pause,   // leave the warp ready, for its next slice
  fault,
};

/// Chooses the split that runs next and loads it; false: none is ready.
bool select_split(Warp& warp, uint32_t& stop_pc);
Next control(Warp& warp, const Op& op, uint32_t mask);
/// A branch that lanes of the current split disagree on.
void diverge(Warp& warp, uint32_t taken, uint32_t target);
void make_frame(Warp& warp, const Code& code, Frame* parent, Split& split);

/// All threads that can arrive have arrived: wakes those that wait.
void release_barriers(Block& block);
Next arrive(Warp& warp, const Op& op, uint32_t mask);
/// vprintf and __assertfail.
Next call_external(Warp& warp, const Op& op, uint32_t mask);

// Faults. Each records what happened in the block and returns true.

struct AddressFault {
  uint64_t address = 0;
  uint32_t bytes = 0;
  bool write = false;
  bool misaligned = false;
  bool read_only = false;
  Space space = Space::global;
};
bool raise_address(Warp& warp, const Op& op, int lane, const AddressFault& fault);
bool raise(Warp& warp, const Op& op, int lane, Fault::Kind kind, const std::string& what);
/// The line in the candidate's file of an instruction; 0: unknown.
uint32_t source_line(const ParsedModule& module, const Function& function, uint32_t instruction);

}  // namespace assay::virtual_gpu
