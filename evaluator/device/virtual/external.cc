// The functions that kernels call and nobody defines: vprintf and __assertfail.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "evaluator/device/virtual/access.h"
#include "evaluator/device/virtual/block.h"
#include "evaluator/device/virtual/printf.h"

namespace assay::virtual_gpu {
namespace {

constexpr size_t kPrintLimit = 64u << 10;
constexpr size_t kFormatLimit = 4096;

/// Memory that a lane may read from `address` on, at most `limit` bytes of it.
std::span<const std::byte> readable(Warp& warp, int lane, uint64_t address, size_t limit) {
  const Region* region = region_at(warp.slots, address);
  if (region == nullptr || address < region->address) return {};
  const uint64_t offset = address - region->address;
  const std::byte* host = nullptr;
  uint64_t size = 0;
  switch (region->kind) {
    case Region::Kind::memory:
      host = region->host;
      size = region->bytes;
      break;
    case Region::Kind::local:
      host = warp.local.data() + size_t{warp.local_stride} * static_cast<size_t>(lane);
      size = warp.local_top;
      break;
    case Region::Kind::shared:
      if (offset < kSharedBase) return {};
      host = warp.shared - kSharedBase;
      size = uint64_t{warp.shared_bytes} + kSharedBase;
      break;
    default:
      return {};
  }
  if (offset >= size) return {};
  return {host + offset, std::min<size_t>(limit, size - offset)};
}

std::optional<std::string> read_string(Warp& warp, int lane, uint64_t address, size_t limit) {
  const auto bytes = readable(warp, lane, address, limit);
  if (bytes.empty()) return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  return std::string(text, strnlen(text, bytes.size()));
}

uint64_t argument(Warp& warp, const CallSite& site, size_t index, int lane) {
  if (index >= site.arguments.size()) return 0;
  const Blob& blob = site.arguments[index];
  uint64_t value = 0;
  memcpy(&value, warp.rows + blob.offset + static_cast<uint32_t>(lane) * blob.stride,
         std::min<uint32_t>(blob.bytes, 8));
  return value;
}

void print(Warp& warp, const CallSite& site, uint32_t mask) {
  Launch& launch = *warp.block->launch;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const auto format = read_string(warp, lane, argument(warp, site, 0, lane), kFormatLimit);
    std::string text;
    if (format) {
      const uint64_t list = argument(warp, site, 1, lane);
      text = format_printf(
          *format, readable(warp, lane, list, printf_argument_bytes(*format)),
          [&](uint64_t address, size_t limit) { return read_string(warp, lane, address, limit); });
    }
    const std::lock_guard lock(launch.mutex);
    if (launch.printed->size() + text.size() <= kPrintLimit)
      launch.printed->append(text);
    else if (launch.printed->size() < kPrintLimit) {
      launch.printed->append(text, 0, kPrintLimit - launch.printed->size());
    }
  }
  // vprintf returns the number of arguments or less; nobody looks, but the register is defined.
  for (const Blob& blob : site.results) {
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
      const auto lane = static_cast<uint32_t>(std::countr_zero(rest));
      memset(warp.rows + blob.offset + lane * blob.stride, 0, blob.bytes);
    }
  }
}

}  // namespace

Next call_external(Warp& warp, const Op& op, uint32_t mask) {
  const auto& site = *static_cast<const CallSite*>(op.table);
  if (site.external == External::print) {
    print(warp, site, mask);
    ++warp.splits[warp.current].pc;
    return Next::select;
  }
  const int lane = std::countr_zero(mask);
  const auto text = [&](size_t index) {
    return read_string(warp, lane, argument(warp, site, index, lane), 512).value_or("?");
  };
  const std::string file = text(1);
  raise(warp, op, lane, Fault::Kind::assertion,
        fmt::format("assertion `{}' failed in {}, {}:{}", text(0), text(3),
                    file.substr(file.rfind('/') + 1),
                    static_cast<uint32_t>(argument(warp, site, 2, lane))));
  return Next::fault;
}

}  // namespace assay::virtual_gpu
