#include "evaluator/device/virtual/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "evaluator/device/virtual/block.h"
#include "evaluator/device/virtual/cluster.h"

namespace assay::virtual_gpu {
namespace {

Space space_of(Region::Kind kind) {
  switch (kind) {
    case Region::Kind::shared:
      return Space::shared;
    case Region::Kind::local:
      return Space::local;
    case Region::Kind::parameter:
      return Space::parameter;
    default:
      return Space::global;
  }
}

/// Where `bytes` bytes at a generic address are; null, with a fault recorded, if nowhere.
std::byte* place(Warp& warp, const Op& op, int lane, uint64_t address, uint32_t bytes, bool write,
                 Access& access) {
  AddressFault fault{address, bytes, write, false, false, Space::global};
  const Region* region = region_at(warp.slots, address);
  const auto refuse = [&] {
    raise_address(warp, op, lane, fault);
    return nullptr;
  };
  if (region == nullptr) return refuse();
  const uint64_t offset = address - region->address;  // wraps below the start
  uint64_t begin = 0;
  uint64_t size = region->bytes;
  std::byte* host = region->host;
  switch (region->kind) {
    case Region::Kind::memory:
      break;
    case Region::Kind::shared: {
      const Block* owner = owner_of(warp, offset);
      if (owner == nullptr) {
        fault = {offset, bytes, write, false, false, Space::shared};
        return refuse();
      }
      begin = (offset & ~kRankOffsetMask) + kSharedBase;
      size = warp.shared_bytes;
      host = owner->shared;
      access.tracked |= warp.track;
      break;
    }
    case Region::Kind::local:
      size = warp.local_top;
      host = warp.local.data() + size_t{warp.local_stride} * static_cast<size_t>(lane);
      break;
    case Region::Kind::parameter:
      size = warp.parameter_bytes;
      host = const_cast<std::byte*>(warp.parameters);
      break;
    case Region::Kind::code:
      return refuse();
  }
  fault.space = space_of(region->kind);
  if (fault.space != Space::global) fault.address = offset;
  const uint64_t at = offset - begin;
  if (at > size || size - at < bytes) return refuse();
  if ((offset & (bytes - 1)) != 0) {
    fault.misaligned = true;
    return refuse();
  }
  if (write && (region->read_only || region->kind == Region::Kind::parameter)) {
    fault.read_only = true;
    return refuse();
  }
  return host + at;
}

bool report_race(Warp& warp, const Op& op, int lane, bool write, bool soft,
                 const SharedShadow::Conflict& conflict) {
  if (soft && conflict.other_soft) return false;
  Launch& launch = *warp.block->launch;
  const std::string what = fmt::format(
      "shared memory race: warps {} and {} of the block {} the 4 bytes at offset {} of its shared "
      "memory with no barrier between (the value changes)",
      warp.index, conflict.other_warp,
      conflict.write_write ? "both write"
      : write              ? "write (the first) and read (the second)"
                           : "read (the first) and write (the second)",
      conflict.offset);
  if (!soft && !conflict.other_soft) {
    return raise(warp, op, lane, Fault::Kind::shared_race, what);
  }
  const Code& code = *warp.frame->code;
  const uint32_t line = source_line(*launch.program->module, *code.source, op.source);
  const std::lock_guard lock(launch.mutex);
  if (launch.notes.size() < 8) {
    std::string note = fmt::format("kernel {}{}: possible {}", launch.kernel,
                                   line != 0 ? fmt::format(", line {}", line) : "", what);
    if (std::find(launch.notes.begin(), launch.notes.end(), note) == launch.notes.end()) {
      launch.notes.push_back(std::move(note));
    }
  }
  return false;
}

/// The value that lane `lane` stores, `bytes` of it.
void stored_bytes(Warp& warp, const Op& op, int lane, unsigned char* out) {
  for (uint32_t v = 0; v < op.vector; ++v) {
    uint32_t row_bytes = 8;
    if (op.move <= Move::u16_16)
      row_bytes = 2;
    else if (op.move <= Move::u32_32)
      row_bytes = 4;
    memcpy(out + v * op.width, warp.rows + op.r[v] + static_cast<uint32_t>(lane) * row_bytes,
           op.width);
  }
}

bool inside_shared(const Warp& warp, const std::byte* p) {
  return p >= warp.shared && p < warp.shared + warp.shared_bytes;
}

}  // namespace

bool locate_slowly(Warp& warp, const Op& op, uint32_t mask, bool write, Access& access) {
  const uint64_t* address = row<uint64_t>(warp, op.r[4]);
  alignas(64) uint64_t sectors[kLanes] = {};
  uint32_t global = 0;
  access.shape = Access::Shape::scattered;
  access.base = 0;
  access.tracked = false;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t where = address[lane] + static_cast<uint64_t>(op.imm);
    const std::byte* p = place(warp, op, lane, where, access.bytes, write, access);
    if (p == nullptr) return true;
    access.set(lane, p);
    if (region_at(warp.slots, where)->kind == Region::Kind::memory) {
      global |= 1u << lane;
      sectors[lane] = where;
    }
  }
  if (global != 0) count_sectors(warp, write, distinct_sectors(sectors, global));
  return access.tracked && !write && track_read(warp, op, mask, access);
}

std::byte* locate_lane(Warp& warp, const Op& op, int lane, uint64_t address, uint32_t bytes,
                       bool write) {
  Access ignored;
  return place(warp, op, lane, address, bytes, write, ignored);
}

bool locate_local(Warp& warp, const Op& op, uint32_t mask, bool write, Access& access) {
  access.bytes = static_cast<uint32_t>(op.width) * op.vector;
  access.shape = Access::Shape::scattered;
  const uint64_t* address = row<uint64_t>(warp, op.r[4]);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t offset = address[lane] + static_cast<uint64_t>(op.imm);
    const bool outside = offset > warp.local_top || warp.local_top - offset < access.bytes;
    if (outside || (offset & (access.bytes - 1)) != 0) {
      return raise_address(warp, op, lane,
                           {offset, access.bytes, write, !outside, false, Space::local});
    }
    access.set(lane,
               warp.local.data() + size_t{warp.local_stride} * static_cast<size_t>(lane) + offset);
  }
  return false;
}

bool raise_shared(Warp& warp, const Op& op, uint32_t mask, bool write, uint32_t bytes,
                  size_t address_bytes) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    uint64_t address = 0;
    if (address_bytes == 4) {
      address = row<uint32_t>(warp, op.r[4])[lane] + static_cast<uint32_t>(op.imm);
    } else {
      address = row<uint64_t>(warp, op.r[4])[lane] + static_cast<uint64_t>(op.imm);
    }
    const uint64_t at = address - kSharedBase;
    const bool outside = at > warp.shared_bytes || warp.shared_bytes - at < bytes;
    if (outside || (address & (bytes - 1)) != 0) {
      return raise_address(warp, op, lane, {address, bytes, write, !outside, false, Space::shared});
    }
  }
  return raise_address(warp, op, std::countr_zero(mask),
                       {0, bytes, write, false, false, Space::shared});
}

void count_sectors(Warp& warp, bool write, uint64_t sectors) {
  (write ? warp.counters.store_sectors : warp.counters.load_sectors) += sectors;
}

uint64_t distinct_sectors(const uint64_t* offset, uint32_t mask) {
  uint64_t seen[64];
  uint64_t used = 0;
  uint64_t count = 0;
  uint64_t last = ~uint64_t{0};
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const uint64_t sector = offset[std::countr_zero(rest)] >> 5;
    if (sector == last) continue;
    last = sector;
    uint64_t place = (sector * 0x9e3779b97f4a7c15u) >> 58;
    while ((used >> place & 1) != 0 && seen[place] != sector) place = (place + 1) & 63;
    if ((used >> place & 1) != 0) continue;
    used |= uint64_t{1} << place;
    seen[place] = sector;
    ++count;
  }
  return count;
}

uint32_t bank_conflicts(const Warp& warp, const Access& access, uint32_t mask) {
  // 32 banks of 4 bytes. Accesses of 8 and 16 bytes are served for 16 and 8 lanes at a time.
  const int group = access.bytes <= 4 ? 32 : access.bytes == 8 ? 16 : 8;
  const uint32_t words = std::max(access.bytes / 4, 1u);
  uint32_t conflicts = 0;
  for (int begin = 0; begin < kLanes; begin += group) {
    uint32_t seen[kLanes][kLanes];
    uint8_t depth[kLanes] = {};
    uint8_t most = 0;
    for (int lane = begin; lane < begin + group; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      const auto first = static_cast<uint32_t>(access.at(lane) - warp.shared) >> 2;
      for (uint32_t word = first; word < first + words; ++word) {
        const uint32_t bank = word & 31;
        bool known = false;
        for (uint8_t k = 0; k < depth[bank] && !known; ++k) known = seen[bank][k] == word;
        if (known || depth[bank] >= kLanes) continue;
        seen[bank][depth[bank]++] = word;
        most = std::max(most, depth[bank]);
      }
    }
    if (most > 1) conflicts += most - 1u;
  }
  return conflicts;
}

void make_pattern(const Warp& warp, const Access& access, SharedPattern& pattern) {
  pattern.bytes = access.bytes;
  pattern.phase = access.offset[0] & 3;
  pattern.conflicts = bank_conflicts(warp, access, kAllLanes);
  int32_t units[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    pattern.relative[lane] = static_cast<uint32_t>(access.offset[lane] - access.offset[0]);
    units[lane] = static_cast<int32_t>(pattern.relative[lane]) / 4;
  }
  bool uniform = true;
  bool consecutive = true;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    uniform &= pattern.relative[lane] == 0;
    consecutive &= pattern.relative[lane] == lane * access.bytes;
  }
  pattern.shape = uniform       ? AccessShape::uniform
                  : consecutive ? AccessShape::consecutive
                                : AccessShape::scattered;
  std::sort(units, units + kLanes);
  const uint32_t words = std::max(access.bytes / 4, 1u);
  pattern.run_count = 0;
  for (const int32_t unit : units) {
    if (pattern.run_count > 0) {
      SharedPattern::Run& last = pattern.runs[pattern.run_count - 1];
      const int32_t end = last.begin + static_cast<int32_t>(last.words);
      if (unit < end) continue;
      if (unit == end) {
        last.words += words;
        continue;
      }
    }
    pattern.runs[pattern.run_count++] = {unit, words};
  }
}

bool track_read(Warp& warp, const Op& op, uint32_t mask, const Access& access) {
  SharedShadow& shadow = warp.block->shadow;
  const bool soft = (op.flags & kSoftAccess) != 0;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const std::byte* p = access.at(lane);
    if (!inside_shared(warp, p)) continue;
    const auto offset = static_cast<uint32_t>(p - warp.shared);
    if (shadow.uninitialised(offset, access.bytes)) ++warp.counters.uninitialised_reads;
    SharedShadow::Conflict conflict;
    if (warp.block->races && shadow.read(offset, access.bytes, warp.index, soft, conflict) &&
        report_race(warp, op, lane, false, soft, conflict)) {
      return true;
    }
  }
  return false;
}

bool track_write(Warp& warp, const Op& op, int lane, std::byte* p, const void* value,
                 uint32_t bytes) {
  const bool soft = (op.flags & kSoftAccess) != 0;
  const auto* fresh = static_cast<const std::byte*>(value);
  if (inside_shared(warp, p)) {
    uint32_t changed = 0;
    for (uint32_t i = 0; i < bytes; ++i) changed |= static_cast<uint32_t>(p[i] != fresh[i]) << i;
    const auto offset = static_cast<uint32_t>(p - warp.shared);
    SharedShadow::Conflict conflict;
    const bool found = warp.block->shadow.write(offset, bytes, changed, warp.index, soft, conflict);
    if (found && warp.block->races && report_race(warp, op, lane, true, soft, conflict)) {
      return true;
    }
  }
  memcpy(p, value, bytes);
  return false;
}

bool store_tracked(Warp& warp, const Op& op, uint32_t mask, const Access& access) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    unsigned char value[32] = {};
    stored_bytes(warp, op, lane, value);
    if (track_write(warp, op, lane, access.at(lane), value, access.bytes)) return true;
  }
  return false;
}

bool track_atomic(Warp& warp, const Op& op, int lane, std::byte* p, const void* value,
                  uint32_t bytes) {
  if (!warp.track || !inside_shared(warp, p)) return false;
  SharedShadow& shadow = warp.block->shadow;
  const auto offset = static_cast<uint32_t>(p - warp.shared);
  if (shadow.uninitialised(offset, bytes)) ++warp.counters.uninitialised_reads;
  if (!warp.block->races) {
    SharedShadow::Conflict ignored;
    shadow.write(offset, bytes, 0, warp.index, true, ignored);
    return false;
  }
  SharedShadow::Conflict conflict;
  if (shadow.read(offset, bytes, warp.index, true, conflict) &&
      report_race(warp, op, lane, false, true, conflict)) {
    return true;
  }
  uint32_t changed = 0;
  const auto* fresh = static_cast<const std::byte*>(value);
  for (uint32_t i = 0; i < bytes; ++i) changed |= static_cast<uint32_t>(p[i] != fresh[i]) << i;
  return shadow.write(offset, bytes, changed, warp.index, true, conflict) &&
         report_race(warp, op, lane, true, true, conflict);
}

}  // namespace assay::virtual_gpu
