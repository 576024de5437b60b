// The facts about devices that plans, occupancy answers and reports need, and their JSON form.
//
// default_device_info() describes one well-known product per architecture, from NVIDIA's data
// sheets and the table of technical specifications in the CUDA C++ Programming Guide (section
// "Compute Capabilities"). A candidate that is recorded without a real device sees these values.
#include "evaluator/device/info.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

namespace assay {

namespace {

/// What differs between architectures; everything else is DeviceInfo's default.
struct Product {
  int major;
  int minor;
  const char* name;
  uint32_t multiprocessors;
  uint32_t threads_per_multiprocessor;
  uint32_t blocks_per_multiprocessor;
  uint32_t shared_kib_per_multiprocessor;
  uint32_t l2_mib;
  uint64_t memory_gib;
  uint32_t clock_khz;
  uint32_t memory_clock_khz;
  uint32_t memory_bus_bits;
};

constexpr Product kProducts[] = {
    {8, 0, "NVIDIA A100-SXM4-80GB", 108, 2048, 32, 164, 40, 80, 1410000, 1593000, 5120},
    {8, 6, "NVIDIA RTX A6000", 84, 1536, 16, 100, 6, 48, 1800000, 8001000, 384},
    {8, 9, "NVIDIA L40S", 142, 1536, 24, 100, 96, 48, 2520000, 9001000, 384},
    {9, 0, "NVIDIA H200", 132, 2048, 32, 228, 60, 141, 1980000, 3201000, 6144},
    {10, 0, "NVIDIA B200", 148, 2048, 32, 228, 126, 180, 1965000, 3996000, 8192},
    {12, 0, "NVIDIA GeForce RTX 5090", 170, 1536, 24, 100, 96, 32, 2407000, 14001000, 512},
};

constexpr int kOldestCapability = 80;

/// "sm_90", "sm_90a", "compute_90" -> 90; 0 where there is no number.
int capability(std::string_view arch) {
  const size_t digits = arch.find_first_of("0123456789");
  if (digits == std::string_view::npos) return 0;
  int value = 0;
  std::from_chars(arch.data() + digits, arch.data() + arch.size(), value);
  return value;
}

/// The product of this capability, else the newest one older than it, else the oldest.
const Product& product_for(int capability) {
  const Product* best = &kProducts[0];
  for (const Product& product : kProducts)
    if (product.major * 10 + product.minor <= capability) best = &product;
  return *best;
}

}  // namespace

DeviceInfo default_device_info(const std::string& arch) {
  const int wanted = std::max(capability(arch), kOldestCapability);
  const Product& product = product_for(wanted);
  DeviceInfo info;
  info.id = "virtual";
  info.name = product.name;
  info.compute_major = wanted / 10;
  info.compute_minor = wanted % 10;
  info.multiprocessors = product.multiprocessors;
  info.max_threads_per_multiprocessor = product.threads_per_multiprocessor;
  info.max_blocks_per_multiprocessor = product.blocks_per_multiprocessor;
  info.shared_per_multiprocessor_bytes = product.shared_kib_per_multiprocessor << 10;
  info.shared_per_block_optin_bytes =
      info.shared_per_multiprocessor_bytes - info.shared_reserved_per_block_bytes;
  info.max_cluster_blocks = product.major >= 9 ? 8 : 1;
  info.l2_bytes = uint64_t{product.l2_mib} << 20;
  info.global_memory_bytes = product.memory_gib << 30;
  info.clock_khz = product.clock_khz;
  info.memory_clock_khz = product.memory_clock_khz;
  info.memory_bus_bits = product.memory_bus_bits;
  return info;
}

namespace {

/// One list of members for both directions.
template <typename Info, typename Visit>
void visit_members(Info& info, const Visit& visit) {
  visit("id", info.id);
  visit("name", info.name);
  visit("uuid", info.uuid);
  visit("driver", info.driver);
  visit("compute_major", info.compute_major);
  visit("compute_minor", info.compute_minor);
  visit("multiprocessors", info.multiprocessors);
  visit("warp_size", info.warp_size);
  visit("max_threads_per_block", info.max_threads_per_block);
  visit("max_threads_per_multiprocessor", info.max_threads_per_multiprocessor);
  visit("max_blocks_per_multiprocessor", info.max_blocks_per_multiprocessor);
  visit("registers_per_block", info.registers_per_block);
  visit("registers_per_multiprocessor", info.registers_per_multiprocessor);
  visit("shared_per_block_bytes", info.shared_per_block_bytes);
  visit("shared_per_block_optin_bytes", info.shared_per_block_optin_bytes);
  visit("shared_per_multiprocessor_bytes", info.shared_per_multiprocessor_bytes);
  visit("shared_reserved_per_block_bytes", info.shared_reserved_per_block_bytes);
  visit("max_grid", info.max_grid);
  visit("max_block", info.max_block);
  visit("max_cluster_blocks", info.max_cluster_blocks);
  visit("l2_bytes", info.l2_bytes);
  visit("global_memory_bytes", info.global_memory_bytes);
  visit("clock_khz", info.clock_khz);
  visit("memory_clock_khz", info.memory_clock_khz);
  visit("memory_bus_bits", info.memory_bus_bits);
}

}  // namespace

void to_json(nlohmann::json& json, const DeviceInfo& info) {
  json = nlohmann::json::object();
  visit_members(info, [&](const char* key, const auto& member) { json[key] = member; });
}

void from_json(const nlohmann::json& json, DeviceInfo& info) {
  visit_members(info, [&](const char* key, auto& member) { json.at(key).get_to(member); });
}

}  // namespace assay
