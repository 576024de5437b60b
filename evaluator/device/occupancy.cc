#include "evaluator/device/occupancy.h"

#include <algorithm>

namespace assay {

namespace {

// Of compute capability 8.0 to 12.x.
constexpr uint64_t kSharedUnitBytes = 128;
constexpr uint64_t kRegisterUnit = 256;  // registers are given to warps in this many
constexpr uint64_t kPartitions = 4;      // of a multiprocessor, each with its own registers

uint64_t divide_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit; }
uint64_t round_up(uint64_t value, uint64_t unit) { return divide_up(value, unit) * unit; }

uint64_t registers_of_warp(const DeviceInfo& device, uint32_t registers) {
  return round_up(uint64_t{registers} * device.warp_size, kRegisterUnit);
}

uint64_t limit_by_registers(const DeviceInfo& device, uint32_t registers, uint64_t warps) {
  if (registers == 0) return device.max_blocks_per_multiprocessor;
  const uint64_t per_warp = registers_of_warp(device, registers);
  // The launch check assumes that a block's warps go to all partitions alike.
  if (per_warp * round_up(warps, kPartitions) > device.registers_per_block) return 0;
  const uint64_t warps_per_partition = device.registers_per_multiprocessor / kPartitions / per_warp;
  return warps_per_partition * kPartitions / warps;
}

uint64_t limit_by_shared(const DeviceInfo& device, uint64_t shared_bytes) {
  if (shared_bytes > device.shared_per_block_optin_bytes) return 0;
  const uint64_t used =
      round_up(shared_bytes + device.shared_reserved_per_block_bytes, kSharedUnitBytes);
  if (used == 0) return device.max_blocks_per_multiprocessor;
  return device.shared_per_multiprocessor_bytes / used;
}

}  // namespace

uint32_t resident_blocks(const DeviceInfo& device, const BlockUse& use) {
  if (use.threads == 0 || use.threads > device.max_threads_per_block) return 0;
  const uint64_t warps = divide_up(use.threads, device.warp_size);
  const uint64_t warps_per_multiprocessor =
      device.max_threads_per_multiprocessor / device.warp_size;
  const uint64_t blocks =
      std::min({uint64_t{device.max_blocks_per_multiprocessor}, warps_per_multiprocessor / warps,
                limit_by_registers(device, use.registers, warps),
                limit_by_shared(device, use.shared_bytes)});
  return static_cast<uint32_t>(blocks);
}

uint64_t available_dynamic_shared(const DeviceInfo& device, uint64_t static_shared_bytes,
                                  uint32_t blocks) {
  if (blocks == 0) return 0;
  const uint64_t share =
      device.shared_per_multiprocessor_bytes / blocks / kSharedUnitBytes * kSharedUnitBytes;
  const uint64_t taken = static_shared_bytes + device.shared_reserved_per_block_bytes;
  const uint64_t most = device.shared_per_block_optin_bytes > static_shared_bytes
                            ? device.shared_per_block_optin_bytes - static_shared_bytes
                            : 0;
  return share > taken ? std::min(share - taken, most) : 0;
}

uint32_t max_threads(const DeviceInfo& device, uint32_t registers) {
  if (registers == 0) return device.max_threads_per_block;
  const uint64_t warps =
      device.registers_per_block / registers_of_warp(device, registers) / kPartitions * kPartitions;
  return static_cast<uint32_t>(
      std::min<uint64_t>(device.max_threads_per_block, warps * device.warp_size));
}

}  // namespace assay
