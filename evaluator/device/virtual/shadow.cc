#include "evaluator/device/virtual/shadow.h"

#include <algorithm>

namespace assay::virtual_gpu {
namespace {

constexpr uint8_t kBytes = 0x0f;
constexpr uint8_t kPartly = 0x20;
constexpr uint8_t kSeveral = 0x40;
constexpr uint8_t kSoft = 0x80;

/// The bytes of word number `word` among [offset, offset + bytes).
uint8_t bytes_in(uint32_t word, uint32_t offset, uint32_t bytes) {
  const uint32_t begin = std::max(offset, word * 4);
  const uint32_t end = std::min(offset + bytes, word * 4 + 4);
  return static_cast<uint8_t>(((1u << (end - begin)) - 1) << (begin & 3));
}

}  // namespace

void SharedShadow::begin(uint32_t bytes) {
  words_.resize((bytes + 3) / 4);
  ++epoch_;
  ++block_;
}

bool SharedShadow::uninitialised(uint32_t offset, uint32_t bytes) const {
  for (uint32_t i = offset / 4; i <= (offset + bytes - 1) / 4; ++i) {
    const Word& word = words_[i];
    const uint8_t written = word.block == block_ ? word.initialised : uint8_t{0};
    if ((bytes_in(i, offset, bytes) & ~written) != 0) return true;
  }
  return false;
}

bool SharedShadow::read(uint32_t offset, uint32_t bytes, uint32_t warp, bool soft,
                        Conflict& conflict) {
  bool found = false;
  for (uint32_t i = offset / 4; i <= (offset + bytes - 1) / 4; ++i) {
    Word& word = words_[i];
    const uint8_t mask = bytes_in(i, offset, bytes);
    if (word.write_epoch == epoch_ && (word.written & kSeveral) == 0 && word.write_warp != warp &&
        (word.changed & mask) != 0) {
      found = true;
      conflict = {false, i * 4, word.write_warp, (word.written & kSoft) != 0};
    }
    if (word.read_epoch != epoch_) {
      word.read_epoch = epoch_;
      word.read_warp = static_cast<uint16_t>(warp);
      word.was_read = 0;
    } else if (word.read_warp != warp) {
      word.was_read |= kSeveral;
      word.later_read_warp = static_cast<uint16_t>(warp);
    }
    word.was_read = static_cast<uint8_t>(word.was_read | mask | (soft ? kSoft : 0) |
                                         (mask != kBytes ? kPartly : 0));
  }
  return found;
}

bool SharedShadow::write(uint32_t offset, uint32_t bytes, uint32_t changed, uint32_t warp,
                         bool soft, Conflict& conflict) {
  bool found = false;
  for (uint32_t i = offset / 4; i <= (offset + bytes - 1) / 4; ++i) {
    Word& word = words_[i];
    const uint8_t mask = bytes_in(i, offset, bytes);
    // Bit k of `changed` is byte offset + k.
    const uint32_t shifted = i * 4 >= offset ? changed >> (i * 4 - offset)
                                             : changed << (offset - i * 4);
    const auto fresh = static_cast<uint8_t>(shifted & mask);
    if (word.write_epoch == epoch_ && word.write_warp != warp) {
      if ((word.written & kSeveral) == 0 && (word.written & fresh) != 0) {
        found = true;
        conflict = {true, i * 4, word.write_warp, (word.written & kSoft) != 0};
      }
      word.written |= kSeveral;
    }
    // Of several readers of the whole word, one at least is another warp.
    const bool several = (word.was_read & kSeveral) != 0;
    const bool others_read = several ? (word.was_read & kPartly) == 0 : word.read_warp != warp;
    if (word.read_epoch == epoch_ && others_read && (word.was_read & fresh) != 0) {
      const uint32_t reader = word.read_warp != warp ? word.read_warp : word.later_read_warp;
      found = true;
      conflict = {false, i * 4, reader, (word.was_read & kSoft) != 0};
    }
    if (word.write_epoch != epoch_) {
      word.write_epoch = epoch_;
      word.write_warp = static_cast<uint16_t>(warp);
      word.written = 0;
      word.changed = 0;
    }
    word.written = static_cast<uint8_t>(word.written | mask | (soft ? kSoft : 0));
    word.changed |= fresh;
    if (word.block != block_) {
      word.block = block_;
      word.initialised = 0;
    }
    word.initialised |= mask;
  }
  return found;
}

}  // namespace assay::virtual_gpu
