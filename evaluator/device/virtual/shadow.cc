#include "evaluator/device/virtual/shadow.h"

#include <algorithm>

namespace assay::virtual_gpu {
namespace {

constexpr uint8_t kWhole = 0x0f;
constexpr uint32_t kLastEpoch = (1u << (32 - SharedShadow::kEpochShift)) - 2;

/// The bytes of word number `word` among [offset, offset + bytes).
uint8_t bytes_in(uint32_t word, uint32_t offset, uint32_t bytes) {
  const uint32_t begin = std::max(offset, word * 4);
  const uint32_t end = std::min(offset + bytes, word * 4 + 4);
  return static_cast<uint8_t>(((1u << (end - begin)) - 1) << (begin & 3));
}

}  // namespace

void SharedShadow::begin(uint32_t bytes) {
  const size_t words = (bytes + 3) / 4;
  if (epoch_ >= kLastEpoch || words > written_.size()) {
    written_.assign(words, 0);
    read_.assign(words, 0);
    written_bytes_.assign(words, 0);
    changed_bytes_.assign(words, 0);
    read_bytes_.assign(words, 0);
    initialised_.assign(words, 0);
    epoch_ = 0;
  }
  ++epoch_;
  first_epoch_ = epoch_;
}

void SharedShadow::next_epoch() {
  if (++epoch_ < kLastEpoch) return;
  // The numbers are used up. Of earlier epochs it matters only whether this block wrote something.
  for (uint32_t& tag : written_) {
    tag = tag < first_tag() ? 0 : 1u << kEpochShift | (tag & kPartial);
  }
  std::fill(read_.begin(), read_.end(), 0u);
  first_epoch_ = 1;
  epoch_ = 2;
}

bool SharedShadow::uninitialised(uint32_t offset, uint32_t bytes) const {
  for (uint32_t i = offset / 4; i <= (offset + bytes - 1) / 4; ++i) {
    const uint8_t mask = bytes_in(i, offset, bytes);
    if (written_[i] < first_tag()) return true;
    if ((written_[i] & kPartial) != 0 && (mask & ~initialised_[i]) != 0) return true;
  }
  return false;
}

bool SharedShadow::read(uint32_t offset, uint32_t bytes, uint32_t warp, bool soft,
                        Conflict& conflict) {
  bool found = false;
  for (uint32_t i = offset / 4; i <= (offset + bytes - 1) / 4; ++i) {
    const uint8_t mask = bytes_in(i, offset, bytes);
    const uint32_t last = written_[i];
    if (is_current(last) && (last & kSeveral) == 0 && (last & kWarp) != warp) {
      const uint8_t changed = (last & kPartial) != 0   ? changed_bytes_[i]
                              : (last & kChanged) != 0 ? kWhole
                                                       : uint8_t{0};
      if ((changed & mask) != 0) {
        found = true;
        conflict = {false, i * 4, last & kWarp, (last & kSoft) != 0};
      }
    }
    uint32_t& tag = read_[i];
    if (!is_current(tag)) {
      tag = this->tag(warp) | (soft ? kSoft : 0);
      read_bytes_[i] = 0;
      if (mask != kWhole) tag |= kPartial;
    } else {
      if ((tag & kPartial) == 0) read_bytes_[i] = kWhole;
      if ((tag & kWarp) != warp) tag |= kSeveral;
      if (mask != kWhole) tag |= kPartial;
    }
    read_bytes_[i] |= mask;
    if (!soft) tag &= ~kSoft;
  }
  return found;
}

bool SharedShadow::write(uint32_t offset, uint32_t bytes, uint32_t changed, uint32_t warp,
                         bool soft, Conflict& conflict) {
  bool found = false;
  for (uint32_t i = offset / 4; i <= (offset + bytes - 1) / 4; ++i) {
    const uint8_t mask = bytes_in(i, offset, bytes);
    // Bit k of `changed` is byte offset + k.
    const uint32_t shifted =
        i * 4 >= offset ? changed >> (i * 4 - offset) : changed << (offset - i * 4);
    const auto fresh = static_cast<uint8_t>(shifted & mask);
    const uint32_t last = written_[i];
    const bool again = is_current(last);
    const uint8_t written_before = !again                   ? uint8_t{0}
                                   : (last & kPartial) != 0 ? written_bytes_[i]
                                                            : kWhole;
    const uint8_t changed_before = !again                   ? uint8_t{0}
                                   : (last & kPartial) != 0 ? changed_bytes_[i]
                                   : (last & kChanged) != 0 ? kWhole
                                                            : uint8_t{0};
    const uint8_t initialised = last < first_tag()       ? uint8_t{0}
                                : (last & kPartial) != 0 ? initialised_[i]
                                                         : kWhole;
    if (again && (last & kSeveral) == 0 && (last & kWarp) != warp &&
        (written_before & fresh) != 0) {
      found = true;
      conflict = {true, i * 4, last & kWarp, (last & kSoft) != 0};
    }
    const uint32_t reads = read_[i];
    if (is_current(reads) && fresh != 0) {
      // Of several readers of the whole word, one at least is another warp.
      const bool several = (reads & kSeveral) != 0;
      const bool others = several ? (reads & kPartial) == 0 : (reads & kWarp) != warp;
      const uint8_t read_bytes = (reads & kPartial) != 0 ? read_bytes_[i] : kWhole;
      if (others && (read_bytes & fresh) != 0) {
        found = true;
        conflict = {false, i * 4, reads & kWarp, (reads & kSoft) != 0};
      }
    }
    uint32_t tag = this->tag(warp);
    if (again && ((last & kWarp) != warp || (last & kSeveral) != 0)) tag |= kSeveral;
    if (soft && (!again || (last & kSoft) != 0)) tag |= kSoft;
    if ((changed_before | fresh) != 0) tag |= kChanged;
    written_bytes_[i] = written_before | mask;
    changed_bytes_[i] = changed_before | fresh;
    initialised_[i] = initialised | mask;
    // The masks say all where some byte differs from the others.
    const bool even = changed_bytes_[i] == 0 || changed_bytes_[i] == kWhole;
    if (written_bytes_[i] != kWhole || initialised_[i] != kWhole || !even) tag |= kPartial;
    written_[i] = tag;
  }
  return found;
}

}  // namespace assay::virtual_gpu
