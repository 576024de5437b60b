// A decoded kernel: compact operations over the rows of a warp's register frame.
//
// A frame is the registers of one function call of a warp: first a fixed part (a predicate that is
// always true, the carry flags), then one row of 32 lanes per register and per constant, the latter
// already spread over the lanes. A 16-bit register's row has 64 bytes, a 32-bit register's 128, a
// 64-bit register's 256; a predicate is one 32-bit mask. Operands are byte offsets into the frame,
// so that constants, registers and temporaries look the same to an operation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "evaluator/device/virtual/module.h"

namespace assay::virtual_gpu {

struct Warp;
struct Op;

inline constexpr uint32_t kAllLanes = 0xffffffffu;
inline constexpr int kLanes = 32;
inline constexpr uint32_t kTrueRow = 0;   // predicate, always true
inline constexpr uint32_t kCarryRow = 4;  // predicate, the CC register
inline constexpr uint32_t kFirstFreeRow = 64;
/// Shared memory begins at this offset, as on hardware of compute capability 9.0.
inline constexpr uint32_t kSharedBase = 1024;

/// Op::imm of bar.warp.sync, the .sync operation that exchanges no data.
inline constexpr int64_t kWarpBarrier = -1;

/// Op::imm of a barrier: its kind, plus a flag for .aligned.
enum class BarrierKind : uint8_t { sync, arrive, popc, all_of, any_of };
inline constexpr int64_t kAlignedBarrier = 256;

/// Executes an operation for the lanes of `mask`; true: the warp stops (a fault was recorded).
using Handler = bool (*)(Warp& warp, const Op& op, uint32_t mask);
/// One lane of a rarely used instruction: operands and result as zero-extended bits.
using Scalar = uint64_t (*)(uint64_t a, uint64_t b, uint64_t c, uint64_t mode);

/// What the warp's main loop has to do about an operation.
enum class Control : uint8_t {
  plain,   // call `run`, go on
  branch,  // to r[0]
  table,   // to targets[row r[0]]
  call,
  leave,  // ret
  exit,
  barrier,  // of the block
  cluster_arrive,
  cluster_wait,
  warp_sync,  // `run` once all lanes named in row r[5] are here
  yield,      // let other warps run
  external,   // a call of vprintf, __assertfail
  trap,
  unsupported,
};

/// How loads widen and stores narrow: memory type, register width in bits.
enum class Move : uint8_t {
  u8_16,
  s8_16,
  u16_16,
  u8_32,
  s8_32,
  u16_32,
  s16_32,
  u32_32,
  u8_64,
  s8_64,
  u16_64,
  s16_64,
  u32_64,
  s32_64,
  u64_64
};

/// Op::flags: an atomic or volatile access.
inline constexpr uint8_t kSoftAccess = 1;

struct alignas(64) Op {
  Handler run = nullptr;
  union {
    Scalar scalar = nullptr;
    const void* table;  // CallSite, targets of a table, MatrixOp
  };
  int64_t imm = 0;
  std::array<uint32_t, 6> r{};  // rows: destinations first
  uint32_t guard = kTrueRow;    // predicate row
  uint32_t source = 0;          // instruction of the function
  Control control = Control::plain;
  bool guard_inverted = false;
  bool counts = true;  // false: an extra step of the previous instruction
  uint8_t flags = 0;   // kSoftAccess ...
  uint8_t width = 0;   // bytes of an element in memory
  uint8_t vector = 1;  // elements
  Move move = Move::u32_32;
  uint8_t widths = 0;  // of scalar operands: 2 bits each of log2 bytes, 0: predicate
};
static_assert(sizeof(Op) == 64);

/// A .param variable of a function: `bytes` per lane, lanes `stride` apart.
struct Blob {
  uint32_t offset = 0;  // in the frame
  uint32_t stride = 0;
  uint32_t bytes = 0;
};

enum class External : uint8_t { none, print, assertion };

struct CallSite {
  uint32_t function = kNone;  // index in the module; kNone: the address is in row `target`
  uint32_t target = 0;
  External external = External::none;
  std::vector<Blob> arguments;
  std::vector<Blob> results;
};

struct Targets {
  std::vector<uint32_t> pcs;
};

/// How lanes lie in a part of a frame: a row of `width` bytes a lane, or 0 for a predicate.
struct RowLayout {
  uint32_t offset = 0;
  uint32_t width = 0;
};

/// One function of a program.
struct Code {
  const Function* source = nullptr;
  std::vector<Op> ops;
  std::vector<std::byte> image;  // a new frame: constants, and garbage in all registers
  uint32_t local_bytes = 0;      // of local memory, per thread
  std::vector<RowLayout> rows;   // all rows but constants; blobs too, with their stride
  std::vector<Blob> parameters;
  std::vector<Blob> results;
  std::vector<std::string> problems;  // texts of Control::unsupported operations, by imm
  std::vector<std::unique_ptr<CallSite>> calls;
  std::vector<std::unique_ptr<Targets>> targets;
  std::vector<std::shared_ptr<const void>> extras;
};

/// A kernel with all functions it can reach.
struct Program {
  const ParsedModule* module = nullptr;
  const Function* kernel = nullptr;
  std::vector<std::unique_ptr<Code>> codes;  // by function of the module; null: not reachable
  const Code* entry = nullptr;
  uint32_t static_shared_bytes = 0;
  uint32_t dynamic_alignment = 16;  // where dynamic shared memory begins
  uint32_t parameter_bytes = 0;
  std::map<const Variable*, uint32_t> shared_offsets;  // from the start of shared memory
  /// A function may call itself, or is called through a pointer: the compiler cannot know how much
  /// stack a thread needs, and the device's limit holds.
  bool recursive = false;
  /// Whether warps synchronise only by barriers of the whole block.
  bool only_block_barriers = true;
};

}  // namespace assay::virtual_gpu
