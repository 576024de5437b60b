#include "evaluator/device/virtual/warp_ops.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "evaluator/device/virtual/access.h"
#include "evaluator/device/virtual/block.h"

namespace assay::virtual_gpu {
namespace {

/// Calls f(group) for each set of lanes of `mask` that name the same members.
template <typename F>
void each_group(Warp& warp, const Op& op, uint32_t mask, F f) {
  const uint32_t* members = row<uint32_t>(warp, op.r[5]);
  for (uint32_t rest = mask; rest != 0;) {
    const uint32_t own = members[std::countr_zero(rest)];
    uint32_t group = 0;
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      if ((rest >> lane & 1) != 0 && members[lane] == own) group |= 1u << lane;
    }
    f(group);
    rest &= ~group;
  }
}

template <typename F>
void each_lane(uint32_t mask, F f) {
  for (; mask != 0; mask &= mask - 1) f(std::countr_zero(mask));
}

void set_bits(Warp& warp, uint32_t offset, uint32_t mask, uint32_t bits) {
  uint32_t& d = *row<uint32_t>(warp, offset);
  d = (d & ~mask) | (bits & mask);
}

uint32_t reduced(ReduceKind kind, uint32_t a, uint32_t b) {
  switch (kind) {
    case ReduceKind::add:
      return a + b;
    case ReduceKind::min_u:
      return std::min(a, b);
    case ReduceKind::max_u:
      return std::max(a, b);
    case ReduceKind::min_s:
      return static_cast<uint32_t>(std::min(static_cast<int32_t>(a), static_cast<int32_t>(b)));
    case ReduceKind::max_s:
      return static_cast<uint32_t>(std::max(static_cast<int32_t>(a), static_cast<int32_t>(b)));
    case ReduceKind::bits_and:
      return a & b;
    case ReduceKind::bits_or:
      return a | b;
    case ReduceKind::bits_xor:
      return a ^ b;
  }
  return 0;
}

uint64_t lane_address(Warp& warp, const Op& op, bool shared, bool narrow, int lane) {
  uint64_t address = 0;
  if (narrow) {
    address = row<uint32_t>(warp, op.r[4])[lane] + static_cast<uint32_t>(op.imm);
  } else {
    address = row<uint64_t>(warp, op.r[4])[lane] + static_cast<uint64_t>(op.imm);
  }
  if (shared) {
    address = warp.block->launch->space->window(Region::Kind::shared).address +
              std::min<uint64_t>(address, 0xffffffffu);
  }
  return address;
}

/// ldmatrix, mma and their like need the whole warp.
bool whole_warp(Warp& warp, const Op& op, uint32_t mask) {
  if (mask == kAllLanes) return true;
  raise(warp, op, std::countr_zero(mask), Fault::Kind::divergent_barrier,
        "a matrix instruction that not all 32 threads of the warp execute");
  return false;
}

}  // namespace

bool run_warp_barrier(Warp&, const Op&, uint32_t) { return false; }

bool run_vote(Warp& warp, const Op& op, uint32_t mask) {
  uint32_t votes = *row<uint32_t>(warp, op.r[1]);
  if (op.width != 0) votes = ~votes;
  each_group(warp, op, mask, [&](uint32_t group) {
    const uint32_t yes = votes & group;
    switch (static_cast<VoteKind>(op.imm)) {
      case VoteKind::all:
        set_bits(warp, op.r[0], group, yes == group ? kAllLanes : 0);
        break;
      case VoteKind::any:
        set_bits(warp, op.r[0], group, yes != 0 ? kAllLanes : 0);
        break;
      case VoteKind::uni:
        set_bits(warp, op.r[0], group, yes == group || yes == 0 ? kAllLanes : 0);
        break;
      case VoteKind::ballot:
        each_lane(group, [&](int lane) { row<uint32_t>(warp, op.r[0])[lane] = yes; });
        break;
    }
  });
  return false;
}

bool run_match(Warp& warp, const Op& op, uint32_t mask) {
  const auto value = [&](int lane) -> uint64_t {
    return op.width == 8 ? row<uint64_t>(warp, op.r[2])[lane] : row<uint32_t>(warp, op.r[2])[lane];
  };
  uint32_t results[kLanes] = {};
  uint32_t all_equal = 0;
  each_group(warp, op, mask, [&](uint32_t group) {
    each_lane(group, [&](int lane) {
      each_lane(group, [&](int other) {
        if (value(lane) == value(other)) results[lane] |= 1u << other;
      });
      if (results[lane] == group) all_equal |= 1u << lane;
    });
  });
  each_lane(mask, [&](int lane) {
    const bool all = op.imm != 0;
    row<uint32_t>(warp, op.r[0])[lane] = !all || (all_equal >> lane & 1) != 0 ? results[lane] : 0;
  });
  if (op.imm != 0) set_bits(warp, op.r[1], mask, all_equal);
  return false;
}

bool run_reduce(Warp& warp, const Op& op, uint32_t mask) {
  uint32_t results[kLanes] = {};
  each_group(warp, op, mask, [&](uint32_t group) {
    const uint32_t* a = row<uint32_t>(warp, op.r[1]);
    uint32_t total = a[std::countr_zero(group)];
    each_lane(group & (group - 1),
              [&](int lane) { total = reduced(static_cast<ReduceKind>(op.imm), total, a[lane]); });
    each_lane(group, [&](int lane) { results[lane] = total; });
  });
  each_lane(mask, [&](int lane) { row<uint32_t>(warp, op.r[0])[lane] = results[lane]; });
  return false;
}

bool run_elect(Warp& warp, const Op& op, uint32_t mask) {
  each_group(warp, op, mask, [&](uint32_t group) {
    const auto leader = static_cast<uint32_t>(std::countr_zero(group));
    each_lane(group, [&](int lane) { row<uint32_t>(warp, op.r[0])[lane] = leader; });
    set_bits(warp, op.r[1], group, 1u << leader);
  });
  return false;
}

bool run_active_mask(Warp& warp, const Op& op, uint32_t mask) {
  each_lane(mask, [&](int lane) { row<uint32_t>(warp, op.r[0])[lane] = mask; });
  return false;
}

bool run_load_matrix(Warp& warp, const Op& op, uint32_t mask) {
  if (!whole_warp(warp, op, mask)) return true;
  const auto& move = *static_cast<const MatrixMove*>(op.table);
  uint8_t rows[32][16];
  Access access;
  access.bytes = 16;
  uint32_t lanes = 0;
  for (int lane = 0; lane < 8 * move.count; ++lane) {
    const uint64_t address = lane_address(warp, op, move.shared, move.narrow, lane);
    std::byte* p = locate_lane(warp, op, lane, address, 16, false);
    if (p == nullptr) return true;
    access.set(lane, p);
    lanes |= 1u << lane;
    memcpy(rows[lane], p, 16);
  }
  if (move.shared) {
    warp.counters.bank_conflicts += bank_conflicts(warp, access, lanes);
    if (warp.track && track_read(warp, op, lanes, access)) return true;
  }
  LaneWords words[4];
  ldmatrix(rows, move.count, move.transpose, words);
  for (int i = 0; i < move.count; ++i) memcpy(warp.rows + move.rows[i], words[i], 128);
  return false;
}

bool run_store_matrix(Warp& warp, const Op& op, uint32_t mask) {
  if (!whole_warp(warp, op, mask)) return true;
  const auto& move = *static_cast<const MatrixMove*>(op.table);
  LaneWords words[4];
  for (int i = 0; i < move.count; ++i) memcpy(words[i], warp.rows + move.rows[i], 128);
  uint8_t rows[32][16];
  stmatrix(words, move.count, move.transpose, rows);
  Access access;
  access.bytes = 16;
  uint32_t lanes = 0;
  for (int lane = 0; lane < 8 * move.count; ++lane) {
    const uint64_t address = lane_address(warp, op, move.shared, move.narrow, lane);
    std::byte* p = locate_lane(warp, op, lane, address, 16, true);
    if (p == nullptr) return true;
    access.set(lane, p);
    lanes |= 1u << lane;
    if (warp.track) {
      if (track_write(warp, op, lane, p, rows[lane], 16)) return true;
    } else {
      memcpy(p, rows[lane], 16);
    }
  }
  if (move.shared) warp.counters.bank_conflicts += bank_conflicts(warp, access, lanes);
  return false;
}

bool run_move_matrix(Warp& warp, const Op& op, uint32_t mask) {
  if (!whole_warp(warp, op, mask)) return true;
  LaneWords in, out;
  memcpy(in, warp.rows + op.r[1], sizeof(in));
  movmatrix(in, out);
  memcpy(warp.rows + op.r[0], out, sizeof(out));
  return false;
}

namespace {

/// Registers to words and back; a 64-bit row becomes two words.
void gather(const Warp& warp, const std::vector<uint32_t>& rows, bool wide, LaneWords* words) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!wide) {
      memcpy(words[i], warp.rows + rows[i], 128);
      continue;
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      uint64_t value = 0;
      memcpy(&value, warp.rows + rows[i] + 8 * lane, 8);
      words[2 * i][lane] = static_cast<uint32_t>(value);
      words[2 * i + 1][lane] = static_cast<uint32_t>(value >> 32);
    }
  }
}

void scatter(Warp& warp, const std::vector<uint32_t>& rows, bool wide, const LaneWords* words) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!wide) {
      memcpy(warp.rows + rows[i], words[i], 128);
      continue;
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const uint64_t value = uint64_t{words[2 * i + 1][lane]} << 32 | uint64_t{words[2 * i][lane]};
      memcpy(warp.rows + rows[i] + 8 * lane, &value, 8);
    }
  }
}

constexpr size_t kMaximumWords = 32;

}  // namespace

bool run_matrix_multiply(Warp& warp, const Op& op, uint32_t mask) {
  if (!whole_warp(warp, op, mask)) return true;
  const auto& multiply = *static_cast<const MatrixMultiply*>(op.table);
  LaneWords a[kMaximumWords], b[kMaximumWords], c[kMaximumWords], d[kMaximumWords];
  gather(warp, multiply.a, multiply.wide, a);
  gather(warp, multiply.b, multiply.wide, b);
  gather(warp, multiply.c, multiply.wide, c);
  if (multiply.is_wmma) {
    wmma(multiply.wmma, a, b, c, d);
  } else {
    mma(multiply.mma, a, b, c, d);
  }
  scatter(warp, multiply.d, multiply.wide, d);
  return false;
}

void WmmaMove::place_units() {
  element_bits = static_cast<uint32_t>(virtual_gpu::element_bits(operation, matrix));
  unit_bits = element_bits < 8 ? 32 : element_bits;
  const auto step = static_cast<int>(unit_bits / element_bits);
  for (int index = 0; index < element_count(operation, matrix); index += step) {
    Unit& unit = units.emplace_back();
    for (int lane = 0; lane < kLanes; ++lane) {
      const WmmaElement along = wmma_element(operation, matrix, row_major, 0, lane, index);
      const WmmaElement both = wmma_element(operation, matrix, row_major, 1, lane, index);
      const auto at = static_cast<size_t>(lane);
      unit.along[at] = static_cast<uint16_t>(along.offset_elements);
      unit.across[at] = static_cast<uint16_t>(both.offset_elements - along.offset_elements);
      unit.word = along.word;
      unit.shift = along.shift;
    }
  }
  const int row_count = matrix == MmaMatrix::b ? operation.k : operation.m;
  const int column_count = matrix == MmaMatrix::a ? operation.k : operation.n;
  packed_stride = static_cast<uint32_t>(row_major ? column_count : row_count);
}

namespace {

/// Where the lanes' parts of a unit are in memory; true: a fault.
bool locate_unit(Warp& warp, const Op& op, const WmmaMove& move, const WmmaMove::Unit& unit,
                 Access& access) {
  access.bytes = move.unit_bits / 8;
  uint64_t addresses[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto at = static_cast<size_t>(lane);
    const uint64_t stride =
        move.has_stride ? row<uint32_t>(warp, op.r[0])[lane] : move.packed_stride;
    const uint64_t element = unit.across[at] * stride + unit.along[at];
    addresses[at] =
        lane_address(warp, op, move.shared, move.narrow, lane) + element * move.element_bits / 8;
    std::byte* p = locate_lane(warp, op, lane, addresses[at], access.bytes, move.store);
    if (p == nullptr) return true;
    access.set(lane, p);
  }
  if (!move.shared) count_sectors(warp, move.store, distinct_sectors(addresses, kAllLanes));
  return false;
}

bool store_unit(Warp& warp, const Op& op, const WmmaMove::Unit& unit, const Access& access,
                const LaneWords* words) {
  for (int lane = 0; lane < kLanes; ++lane) {
    uint64_t value = words[unit.word][lane] >> unit.shift;
    if (access.bytes == 8) value |= uint64_t{words[unit.word + 1][lane]} << 32;
    if (!warp.track) {
      memcpy(access.at(lane), &value, access.bytes);
    } else if (track_write(warp, op, lane, access.at(lane), &value, access.bytes)) {
      return true;
    }
  }
  return false;
}

bool load_unit(Warp& warp, const Op& op, const WmmaMove::Unit& unit, const Access& access,
               LaneWords* words) {
  if (warp.track && track_read(warp, op, kAllLanes, access)) return true;
  const uint32_t field = access.bytes >= 4 ? 0xffffffffu : (1u << (8 * access.bytes)) - 1;
  for (int lane = 0; lane < kLanes; ++lane) {
    uint64_t value = 0;
    memcpy(&value, access.at(lane), access.bytes);
    uint32_t& word = words[unit.word][lane];
    word = (word & ~(field << unit.shift)) | static_cast<uint32_t>(value) << unit.shift;
    if (access.bytes == 8) words[unit.word + 1][lane] = static_cast<uint32_t>(value >> 32);
  }
  return false;
}

}  // namespace

bool run_wmma_move(Warp& warp, const Op& op, uint32_t mask) {
  if (!whole_warp(warp, op, mask)) return true;
  const auto& move = *static_cast<const WmmaMove*>(op.table);
  LaneWords words[kMaximumWords] = {};
  if (move.store) gather(warp, move.rows, move.wide, words);
  for (const WmmaMove::Unit& unit : move.units) {
    Access access;
    if (locate_unit(warp, op, move, unit, access)) return true;
    if (move.store ? store_unit(warp, op, unit, access, words)
                   : load_unit(warp, op, unit, access, words)) {
      return true;
    }
  }
  if (!move.store) scatter(warp, move.rows, move.wide, words);
  return false;
}

}  // namespace assay::virtual_gpu
