// The sentences that say what stopped a kernel: kernel, block, thread, source line, what happened,
// the instruction, and for addresses the nearest buffer.
#include <fmt/format.h>

#include <algorithm>

#include "evaluator/device/virtual/block.h"
#include "evaluator/device/virtual/cluster.h"

namespace assay::virtual_gpu {
namespace {

std::string_view reason_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::launch_failed:
      return "launch_limits";
    case Fault::Kind::timeout:
      return "kernel_time";
    default:
      return name(kind);
  }
}

std::string coordinates(const uint32_t (&at)[3]) {
  return fmt::format("({},{},{})", at[0], at[1], at[2]);
}

std::string bytes_text(uint64_t bytes) {
  return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
}

/// "4 bytes past the end of tensor y (4096 bytes)".
std::string where(const Warp& warp, const AddressFault& fault) {
  switch (fault.space) {
    case Space::shared: {
      // Without clusters no address is meant for another block.
      const bool may_be_other = warp.block->launch->cluster.count() > 1;
      const uint64_t rank = may_be_other ? fault.address >> kRankBits : 0;
      const uint64_t address = rank == 0 ? fault.address : fault.address & kRankOffsetMask;
      const std::string owner =
          rank == 0 ? "the block's" : fmt::format("the cluster's block {}'s", rank - 1);
      const uint64_t size = warp.shared_bytes;
      if (rank != 0 && owner_of(warp, fault.address) == nullptr) {
        return fmt::format("{} shared memory: there is no such block, or it has exited", owner);
      }
      if (address < kSharedBase) {
        return fmt::format("{} before the start of {} shared memory ({})",
                           bytes_text(kSharedBase - address), owner, bytes_text(size));
      }
      const uint64_t at = address - kSharedBase;
      if (at + fault.bytes <= size) {
        return fmt::format("offset {} of {} shared memory ({})", at, owner, bytes_text(size));
      }
      return fmt::format("{} past the end of {} shared memory ({})",
                         at >= size ? bytes_text(at - size) : "partly", owner, bytes_text(size));
    }
    case Space::local:
      return fmt::format("offset {} of the thread's local memory ({} in use)", fault.address,
                         bytes_text(warp.local_top));
    case Space::parameter:
      return fmt::format("offset {} of the kernel's parameters ({})", fault.address,
                         bytes_text(warp.parameter_bytes));
    default:
      break;
  }
  const Region* region = warp.block->launch->space->nearest(fault.address);
  if (region == nullptr) {
    return fault.address < 65536
               ? fmt::format("address {:#x} (a null pointer?)", fault.address)
               : fmt::format("address {:#x}, which is in no buffer", fault.address);
  }
  const uint64_t end = region->address + region->bytes;
  const std::string size = bytes_text(region->bytes);
  if (fault.address < region->address) {
    return fmt::format("{} before the start of {} ({})",
                       bytes_text(region->address - fault.address), region->name, size);
  }
  if (fault.address >= end) {
    return fault.address == end
               ? fmt::format("directly past the end of {} ({})", region->name, size)
               : fmt::format("{} past the end of {} ({})", bytes_text(fault.address - end),
                             region->name, size);
  }
  return fmt::format("byte {} of {} ({})", fault.address - region->address, region->name, size);
}

bool in_candidate(const ParsedModule& module, uint32_t file) {
  const auto found = module.files.find(file);
  if (found == module.files.end()) return false;
  const std::string& path = found->second;
  return path.ends_with(".cu");
}

}  // namespace

uint32_t source_line(const ParsedModule& module, const Function& function, uint32_t instruction) {
  if (instruction >= function.instructions.size()) return 0;
  // Through calls that were inlined, out of headers; line 0 is the compiler's own code, which
  // belongs to what came before.
  uint32_t at = function.instructions[instruction].location;
  for (int steps = 0; at != kNone && at < function.locations.size() && steps < 256; ++steps) {
    const SourceLocation& location = function.locations[at];
    if (in_candidate(module, location.file) && location.line != 0) return location.line;
    at = location.caller != kNone ? location.caller : at > 0 && location.line == 0 ? at - 1 : kNone;
  }
  return 0;
}

bool raise(Warp& warp, const Op& op, int lane, Fault::Kind kind, const std::string& what) {
  Block& block = *warp.block;
  Launch& launch = *block.launch;
  block.failed = true;
  if (block.fault) return true;
  const Function& function = *warp.frame->code->source;
  Fault fault;
  fault.kind = kind;
  fault.reason = reason_of(kind);
  fault.kernel = launch.kernel;
  fault.operation = launch.operation;
  fault.source_line = source_line(*launch.program->module, function, op.source);
  const auto l = static_cast<size_t>(lane);
  const uint32_t thread[3] = {warp.tid[0][l], warp.tid[1][l], warp.tid[2][l]};
  const std::string_view opcode = op.source < function.instructions.size()
                                      ? function.instructions[op.source].opcode
                                      : std::string_view("ret");
  fault.explanation = fmt::format(
      "kernel {}, block {}, thread {}{}: {} (instruction {})", launch.kernel,
      coordinates(block.ctaid), coordinates(thread),
      fault.source_line != 0 ? fmt::format(", line {}", fault.source_line) : "", what, opcode);
  block.fault = std::move(fault);
  return true;
}

bool raise_address(Warp& warp, const Op& op, int lane, const AddressFault& fault) {
  const char* verb = fault.write ? "writes" : "reads";
  const std::string place = where(warp, fault);
  if (fault.misaligned) {
    return raise(warp, op, lane, Fault::Kind::misaligned_address,
                 fmt::format("{} {} at an address that is no multiple of {}: {}", verb,
                             bytes_text(fault.bytes), fault.bytes, place));
  }
  return raise(warp, op, lane, Fault::Kind::illegal_address,
               fmt::format("{} {} {}{}", verb, bytes_text(fault.bytes), place,
                           fault.read_only ? ", which kernels cannot write" : ""));
}

}  // namespace assay::virtual_gpu
