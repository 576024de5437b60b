// What the virtual device remembers of shared memory beside its content: who read and wrote it
// since the last barrier, and what was never written.
#pragma once

#include <cstdint>
#include <vector>

namespace assay::virtual_gpu {

/// Shared-memory accesses of one block. Granularity is a byte within 4-byte words; a word that more
/// than one warp writes in parts, or that many read, is remembered only roughly, so that what is
/// reported is certain.
class SharedShadow {
 public:
  /// Forgets everything; `bytes` of shared memory, none of it written.
  void begin(uint32_t bytes);
  /// All threads of the block passed a barrier.
  void next_epoch() { ++epoch_; }

  struct Conflict {
    bool write_write = false;  // else a read and a write
    uint32_t offset = 0;
    uint32_t other_warp = 0;
    bool other_soft = false;   // the other access was atomic or volatile
  };
  /// `soft`: atomic or volatile. True, with `conflict`, if another warp wrote other values to these
  /// bytes since the last barrier.
  bool read(uint32_t offset, uint32_t bytes, uint32_t warp, bool soft, Conflict& conflict);
  /// `changed`: per byte, whether the value differs from what was there.
  bool write(uint32_t offset, uint32_t bytes, uint32_t changed, uint32_t warp, bool soft,
             Conflict& conflict);
  /// Bytes among these that nothing was written to since the block began.
  bool uninitialised(uint32_t offset, uint32_t bytes) const;
  bool empty() const { return words_.empty(); }

 private:
  struct Word {
    uint32_t write_epoch = 0;
    uint32_t read_epoch = 0;
    uint16_t write_warp = 0;
    uint16_t read_warp = 0;        // the first to read
    uint16_t later_read_warp = 0;  // the last other one
    uint8_t written = 0;      // bytes, 4 bits; bit 6: by several warps, 7: softly
    uint8_t changed = 0;      // of these, with a new value
    uint8_t was_read = 0;     // bytes; bit 5: some in parts, 6: by several warps, 7: softly
    uint8_t initialised = 0;  // bytes; since the block began if `block` says so
    uint32_t block = 0;
  };
  std::vector<Word> words_;
  uint32_t epoch_ = 1;
  uint32_t block_ = 0;
};

}  // namespace assay::virtual_gpu
