// The fake device addresses that solve() sees while it is recorded.
//
// Both sides compute them from the same secret base and the same list of sizes: the recording
// runtime hands them out, the recorder recognises them in launch parameters. No page of the range
// is ever mapped, so that host code that reads or writes through such a pointer faults.
//
// What is left of a pointer in the padding of a structure must differ between two recordings, byte
// by byte, or else it would pass for data. So bases carry a mark, and the two lowest bits of bytes
// 1 to 5 of every start spell it: with the same offset, such bytes of pointers into the same
// allocation of two spaces with different marks differ by 1 to 3 modulo 4, carries included.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "evaluator/plan/plan.h"

namespace assay::recording {

/// The range all fake addresses lie in, 16 to 48 TiB: Linux on x86-64 puts programs, heaps,
/// libraries and stacks above 85 TiB, and fixed-address programs below 4 GiB.
inline constexpr uint64_t kFirstAddress = uint64_t{0x1000} << 32;
inline constexpr uint64_t kLastAddress = uint64_t{0x3000} << 32;
/// Secret bases lie in [kFirstAddress, kFirstAddress + kBaseSpan).
inline constexpr uint64_t kBaseSpan = uint64_t{0x0800} << 32;

/// The bit of a base that is its mark: the two recordings of a plan have different ones.
inline constexpr uint64_t kBaseMark = 1;

/// Every allocation starts at a multiple of this and of nothing larger: what CUDA promises.
inline constexpr uint64_t kAlignment = 256;

class AddressSpace {
 public:
  explicit AddressSpace(uint64_t base) : next_(base), mark_((base & kBaseMark) != 0) {}

  /// The address of the next allocation; 0 where the range is used up.
  uint64_t place(uint64_t bytes);

  /// The allocation (by its number in the order of placing) that `address` points into, one past
  /// the end and up to plan_limits::kPointerSlackBytes outside included.
  std::optional<Location> find(uint64_t address) const;

  /// Whether addresses of the allocation (slack included), shifted right by `shift` bits, can give
  /// `high_part`.
  bool has_high_part(uint32_t allocation, uint64_t high_part, unsigned shift) const;

  size_t size() const { return starts_.size(); }
  uint64_t start(uint32_t allocation) const { return starts_[allocation]; }

 private:
  std::vector<uint64_t> starts_;
  std::vector<uint64_t> bytes_;
  size_t placed_ = 0;  // the first so many found room and ascend; nothing after them is looked up
  uint64_t next_;
  bool mark_;
};

/// Whether an address is in the range of fake addresses at all.
inline bool is_fake(uint64_t address) { return address >= kFirstAddress && address < kLastAddress; }

}  // namespace assay::recording
