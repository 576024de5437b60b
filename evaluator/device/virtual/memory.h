// The generic address space of the virtual device.
//
// An address has a slot number in bits 36 to 47 and an offset below. Every allocation has a slot of
// its own, at a random offset, so that an access beyond either end is caught whatever the distance
// up to 64 GiB, and looking an address up is one load. Some slots are windows through which generic
// addresses reach a thread's local memory, its block's shared memory and the kernel's parameters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay::virtual_gpu {

inline constexpr int kSlotBits = 36;
inline constexpr uint32_t kSlots = 4096;

struct Region {
  enum class Kind : uint8_t { memory, shared, local, parameter, code };
  Kind kind = Kind::memory;
  bool read_only = false;  // to kernels
  uint64_t address = 0;    // of the first byte
  uint64_t bytes = 0;
  std::byte* host = nullptr;  // where the first byte really is
  std::string name;           // as messages call it: "tensor x", "scratch 1", "variable table"
  bool listed = true;         // a candidate for "nearest" in messages
  uint32_t slot = 0;
};

/// Host memory with a red zone on both sides.
class HostMemory {
 public:
  static Result<HostMemory> allocate(uint64_t bytes, uint64_t key);
  HostMemory(HostMemory&& other) noexcept;
  HostMemory& operator=(HostMemory&& other) noexcept;
  ~HostMemory();

  std::byte* data() const;
  uint64_t bytes() const { return bytes_; }
  /// Changed bytes before and after the content.
  std::pair<uint64_t, uint64_t> damage() const;

 private:
  HostMemory() = default;
  std::byte* base_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t mapped_bytes_ = 0;
  uint64_t key_ = 0;
};

class AddressSpace {
 public:
  AddressSpace();

  /// A region of `bytes` at a random address; fails when all slots are taken or for 64 GiB and
  /// more.
  Result<Region*> add(Region::Kind kind, uint64_t bytes, std::byte* host, std::string name,
                      bool read_only = false);
  void remove(const Region* region);

  const Region* const* slots() const { return table_.data(); }
  const Region& window(Region::Kind kind) const { return *windows_[static_cast<size_t>(kind)]; }
  /// The listed region whose bounds are nearest to `address`.
  const Region* nearest(uint64_t address) const;
  uint64_t random() { return random_(); }

 private:
  std::mt19937_64 random_;
  std::array<const Region*, kSlots> table_{};
  std::vector<std::unique_ptr<Region>> regions_;
  std::array<const Region*, 5> windows_{};
};

/// The region of `address`, or null.
inline const Region* region_at(const Region* const* slots, uint64_t address) {
  return address >> (kSlotBits + 12) == 0 ? slots[address >> kSlotBits] : nullptr;
}

}  // namespace assay::virtual_gpu
