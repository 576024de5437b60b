#include "evaluator/device/virtual/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "evaluator/check/trusted.h"

namespace assay::virtual_gpu {
Result<HostMemory> HostMemory::allocate(uint64_t bytes, uint64_t key) {
  const auto pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (bytes > pages * page_bytes / 4 * 3) {
    return Error{
        ErrorKind::device,
        fmt::format("the virtual device cannot hold a buffer of {} bytes: this machine has "
                    "{} bytes of memory",
                    bytes, pages * page_bytes)};
  }
  HostMemory memory;
  memory.bytes_ = bytes;
  memory.key_ = key;
  memory.mapped_bytes_ =
      (bytes + 2 * trusted::kRedZoneBytes + page_bytes - 1) / page_bytes * page_bytes;
  void* mapped = mmap(nullptr, memory.mapped_bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    return Error{ErrorKind::device,
                 fmt::format("no memory for a buffer of {} bytes of the virtual device", bytes)};
  }
  memory.base_ = static_cast<std::byte*>(mapped);
  trusted::write_red_zone_on_host(memory.base_, key);
  trusted::write_red_zone_on_host(memory.data() + bytes, ~key);
  return memory;
}

HostMemory::HostMemory(HostMemory&& other) noexcept { *this = std::move(other); }

HostMemory& HostMemory::operator=(HostMemory&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(key_, other.key_);
  return *this;
}

HostMemory::~HostMemory() {
  if (base_ != nullptr) munmap(base_, mapped_bytes_);
}

std::byte* HostMemory::data() const { return base_ + trusted::kRedZoneBytes; }

std::pair<uint64_t, uint64_t> HostMemory::damage() const {
  return {trusted::check_red_zone_on_host(base_, key_),
          trusted::check_red_zone_on_host(data() + bytes_, ~key_)};
}

AddressSpace::AddressSpace() : random_(std::random_device{}()) {
  using Kind = Region::Kind;
  constexpr std::pair<Kind, const char*> kWindows[] = {{Kind::shared, "shared memory"},
                                                       {Kind::local, "local memory"},
                                                       {Kind::parameter, "kernel parameters"},
                                                       {Kind::code, "code"}};
  for (const auto& [kind, name] : kWindows) {
    Result<Region*> window = add(kind, uint64_t{1} << 32, nullptr, name);
    (*window)->address &= ~((uint64_t{1} << kSlotBits) - 1);
    (*window)->listed = false;
    windows_[static_cast<size_t>(kind)] = *window;
  }
}

Result<Region*> AddressSpace::add(Region::Kind kind, uint64_t bytes, std::byte* host,
                                  std::string name, bool read_only) {
  constexpr uint64_t kSlotBytes = uint64_t{1} << kSlotBits;
  if (bytes > kSlotBytes - 4096) {
    return Error{ErrorKind::device, fmt::format("{} has {} bytes; the virtual device holds "
                                                "allocations below 64 GiB",
                                                name, bytes)};
  }
  if (regions_.size() >= kSlots - 256) {
    return Error{ErrorKind::device,
                 fmt::format("more than {} allocations on the virtual device", kSlots - 256)};
  }
  uint32_t slot = 0;
  do {
    slot = static_cast<uint32_t>(random_() % (kSlots - 1)) + 1;  // never slot 0: null pointers
  } while (table_[slot] != nullptr);
  auto region = std::make_unique<Region>();
  region->kind = kind;
  region->read_only = read_only;
  region->bytes = bytes;
  region->host = host;
  region->name = std::move(name);
  region->slot = slot;
  const uint64_t room = (kSlotBytes - bytes) / 256 - 1;
  region->address = uint64_t{slot} << kSlotBits | (random_() % room + 1) * 256;
  table_[slot] = region.get();
  regions_.push_back(std::move(region));
  return regions_.back().get();
}

void AddressSpace::remove(const Region* region) {
  table_[region->slot] = nullptr;
  std::erase_if(regions_, [&](const auto& entry) { return entry.get() == region; });
}

const Region* AddressSpace::nearest(uint64_t address) const {
  const Region* best = nullptr;
  uint64_t best_distance = ~uint64_t{0};
  for (const auto& region : regions_) {
    if (!region->listed) continue;
    const uint64_t end = region->address + region->bytes;
    const uint64_t distance = address < region->address ? region->address - address
                              : address >= end          ? address - end
                                                        : 0;
    // Only what lies in the same slot can have been meant.
    if (address >> kSlotBits == region->slot && distance < best_distance) {
      best = region.get();
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace assay::virtual_gpu
