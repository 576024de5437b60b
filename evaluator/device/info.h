// DeviceInfo: the facts about a device that plans, occupancy answers and reports need.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace assay {

struct DeviceInfo {
  std::string id;    // "virtual", "cuda:0"
  std::string name;  // "NVIDIA H200", "assay virtual GPU (sm_90)"
  std::string uuid;
  std::string driver;
  int compute_major = 9;
  int compute_minor = 0;
  uint32_t multiprocessors = 132;
  uint32_t warp_size = 32;
  uint32_t max_threads_per_block = 1024;
  uint32_t max_threads_per_multiprocessor = 2048;
  uint32_t max_blocks_per_multiprocessor = 32;
  uint32_t registers_per_block = 65536;
  uint32_t registers_per_multiprocessor = 65536;
  uint32_t shared_per_block_bytes = 48 << 10;  // without opting in
  uint32_t shared_per_block_optin_bytes = 227 << 10;
  uint32_t shared_per_multiprocessor_bytes = 228 << 10;
  uint32_t shared_reserved_per_block_bytes = 1 << 10;
  uint32_t max_grid[3] = {2147483647u, 65535u, 65535u};
  uint32_t max_block[3] = {1024, 1024, 64};
  uint32_t max_cluster_blocks = 8;
  uint64_t l2_bytes = 60ull << 20;
  uint64_t global_memory_bytes = 141ull << 30;
  uint32_t clock_khz = 1980000;
  uint32_t memory_clock_khz = 3201000;
  uint32_t memory_bus_bits = 6144;

  std::string arch() const {
    return "sm_" + std::to_string(compute_major) + std::to_string(compute_minor);
  }
};

void to_json(nlohmann::json& json, const DeviceInfo& info);
void from_json(const nlohmann::json& json, DeviceInfo& info);

/// The target whose properties are answered while recording for an architecture when no real
/// device was asked for: an H200 for sm_90.
DeviceInfo default_device_info(const std::string& arch);

}  // namespace assay
