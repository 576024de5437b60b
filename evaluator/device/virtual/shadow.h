// What the virtual device remembers of shared memory beside its content: who read and wrote it
// since the last barrier, and what was never written.
#pragma once

#include <cstdint>
#include <vector>

namespace assay::virtual_gpu {

/// Shared-memory accesses of one block. For each 4-byte word there is a tag of the last write and
/// one of the reads: the epoch (a number that grows with each barrier of the block), flags, and the
/// warp. The common case, whole words that no other warp touched in this epoch, is decided on the
/// tags alone (lanes_memory.inc); all else comes here. A word that several warps wrote is not
/// judged any more, so that what is reported is certain.
class SharedShadow {
 public:
  static constexpr uint32_t kWarp = 31;         // bits of the warp's number
  static constexpr uint32_t kChanged = 1 << 5;  // writes: some byte got a new value
  static constexpr uint32_t kSoft = 1 << 6;     // all of them atomic or volatile
  static constexpr uint32_t kSeveral = 1 << 7;  // more than one warp
  static constexpr uint32_t kPartial = 1 << 8;  // not always the whole word; see the byte masks
  static constexpr int kEpochShift = 10;

  /// Forgets everything; `bytes` of shared memory, none of it written.
  void begin(uint32_t bytes);
  /// All threads of the block passed a barrier.
  void next_epoch();

  struct Conflict {
    bool write_write = false;  // else a read and a write
    uint32_t offset = 0;
    uint32_t other_warp = 0;
    bool other_soft = false;  // the other access was atomic or volatile
  };
  /// True, with `conflict`, if another warp wrote other values to these bytes in this epoch.
  bool read(uint32_t offset, uint32_t bytes, uint32_t warp, bool soft, Conflict& conflict);
  /// `changed`: per byte, whether the value differs from what was there.
  bool write(uint32_t offset, uint32_t bytes, uint32_t changed, uint32_t warp, bool soft,
             Conflict& conflict);
  /// An atomic update of a whole word by `warp`, where nothing about it can be a race or a read of
  /// what nobody wrote: true, and it is noted.
  bool note_atomic(uint32_t word, uint32_t warp, bool changed) {
    const uint32_t mine = tag(warp) | kSoft;
    const uint32_t last = written_[word], reads = read_[word];
    const bool again = is_current(last), read_before = is_current(reads);
    if (last < first_tag() || ((last | reads) & kPartial) != 0) return false;
    if ((again && (last & kSoft) == 0) || (read_before && (reads & kSoft) == 0)) return false;
    read_[word] = !read_before ? mine : reads | (((reads ^ mine) & kWarp) != 0 ? kSeveral : 0);
    const bool others = again && (((last ^ mine) & kWarp) != 0 || (last & kSeveral) != 0);
    written_[word] =
        mine | (others ? kSeveral : 0) | (changed ? kChanged : 0) | (again ? last & kChanged : 0);
    return true;
  }
  /// Bytes among these that nothing was written to since the block began.
  bool uninitialised(uint32_t offset, uint32_t bytes) const;

  // For the common case.
  uint32_t* written() { return written_.data(); }
  uint32_t* readers() { return read_.data(); }
  uint32_t tag(uint32_t warp) const { return epoch_ << kEpochShift | warp; }
  /// Tags of writes below this are of earlier blocks.
  uint32_t first_tag() const { return first_epoch_ << kEpochShift; }

 private:
  bool is_current(uint32_t tag) const { return tag >> kEpochShift == epoch_; }

  std::vector<uint32_t> written_, read_;
  // By word, 4 bits each; valid where the tag has kPartial, else all or nothing.
  std::vector<uint8_t> written_bytes_, changed_bytes_, read_bytes_;
  std::vector<uint8_t> initialised_;  // bytes; where the last write of the block was partial
  uint32_t epoch_ = 0;
  uint32_t first_epoch_ = 1;
};

}  // namespace assay::virtual_gpu
