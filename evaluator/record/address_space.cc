#include "evaluator/record/address_space.h"

#include <algorithm>

#include "evaluator/plan/limits.h"

namespace assay::recording {

namespace {

constexpr uint64_t kSlack = plan_limits::kPointerSlackBytes;
// Between two allocations: more than the slack on both sides, so that every address within slack
// belongs to exactly one allocation.
constexpr uint64_t kGap = 4 * kSlack;

/// SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014): scatters the low bits of addresses.
uint64_t scatter(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

/// Every start has two fixed bits at the bottom of its bytes 1 to 5, the upper of them the mark.
constexpr uint64_t kMarkedBits = 0x0303'0303'0300;
constexpr uint64_t kMark = 0x0202'0202'0200;
/// The other bits of bytes 1 and 2, which are drawn.
constexpr uint64_t kDrawnBits = 0xfc'fc00;

/// The lowest start from `address` on.
uint64_t next_start(uint64_t address, bool mark) {
  const uint64_t fixed = kAlignment | (mark ? kMark : 0);
  address = (address + kAlignment - 1) / kAlignment * kAlignment;
  while ((address & kMarkedBits) != fixed) {
    // Up to where the highest wrong byte is right, from where the bytes below start again.
    unsigned shift = 40;
    while (((address ^ fixed) & kMarkedBits) >> shift == 0) shift -= 8;
    const uint64_t step = ((fixed >> shift) - (address >> shift)) & 3;
    address = ((address >> shift) + step) << shift;
  }
  return address;
}

}  // namespace

uint64_t AddressSpace::place(uint64_t bytes) {
  uint64_t start = 0;
  if (next_ < kLastAddress && bytes < kLastAddress - next_) {
    start = next_start(next_ + kGap, mark_) | (scatter(next_ + starts_.size()) & kDrawnBits);
    next_ = start + bytes + kGap;
    if (next_ >= kLastAddress) start = 0;
  }
  if (start != 0 && placed_ == starts_.size()) ++placed_;
  starts_.push_back(start);
  bytes_.push_back(bytes);
  return start;
}

std::optional<Location> AddressSpace::find(uint64_t address) const {
  if (!is_fake(address)) return std::nullopt;
  const auto placed = starts_.begin() + static_cast<ptrdiff_t>(placed_);
  const auto after = std::upper_bound(starts_.begin(), placed, address + kSlack);
  if (after == starts_.begin()) return std::nullopt;
  const auto number = static_cast<size_t>(after - starts_.begin() - 1);
  const auto offset = static_cast<int64_t>(address - starts_[number]);
  if (offset > static_cast<int64_t>(bytes_[number] + kSlack)) return std::nullopt;
  return Location{static_cast<uint32_t>(number), offset};
}

bool AddressSpace::has_high_part(uint32_t allocation, uint64_t high_part, unsigned shift) const {
  if (starts_[allocation] == 0) return false;
  const uint64_t first = (starts_[allocation] - kSlack) >> shift;
  const uint64_t last = (starts_[allocation] + bytes_[allocation] + kSlack) >> shift;
  return high_part >= first && high_part <= last;
}

}  // namespace assay::recording
