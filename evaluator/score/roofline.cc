#include "evaluator/score/roofline.h"

#include <algorithm>
#include <array>

namespace assay {

namespace {

/// Data sheets of the SXM parts unless the name says otherwise; dense rates (half of those that
/// the sheets print with sparsity). Sources: NVIDIA's data sheets of A100, H100, H200, L40S.
const std::array<DeviceProfile, 4>& sheets() {
  static const std::array<DeviceProfile, 4> table = {{
      {"H200",
       "datasheet",
       4.8e12,
       {{"fp64", 34e12},
        {"fp32", 67e12},
        {"int32", 33.5e12},
        {"tf32", 495e12},
        {"tc16", 990e12},
        {"fp8", 1979e12},
        {"int8", 1979e12}},
       0,
       60ull << 20},
      {"H100",
       "datasheet",
       3.35e12,
       {{"fp64", 34e12},
        {"fp32", 67e12},
        {"int32", 33.5e12},
        {"tf32", 495e12},
        {"tc16", 990e12},
        {"fp8", 1979e12},
        {"int8", 1979e12}},
       0,
       50ull << 20},
      {"A100",
       "datasheet",
       2.04e12,
       {{"fp64", 9.7e12},
        {"fp32", 19.5e12},
        {"int32", 19.5e12},
        {"tf32", 156e12},
        {"tc16", 312e12},
        {"int8", 624e12}},
       0,
       40ull << 20},
      {"L40S",
       "datasheet",
       0.864e12,
       {{"fp64", 1.4e12},
        {"fp32", 91.6e12},
        {"int32", 45.8e12},
        {"tf32", 183e12},
        {"tc16", 362e12},
        {"fp8", 733e12},
        {"int8", 733e12}},
       0,
       96ull << 20},
  }};
  return table;
}

double compute_us(const BoundCase& bound, const std::string& unit, const DeviceProfile& profile) {
  const auto rate = profile.per_second.find(unit);
  return rate == profile.per_second.end() || rate->second <= 0 ? 0
                                                               : 1e6 * bound.flops / rate->second;
}

}  // namespace

std::optional<DeviceProfile> datasheet(const std::string& device_name) {
  for (const DeviceProfile& sheet : sheets())
    if (device_name.find(sheet.device) != std::string::npos) return sheet;
  return std::nullopt;
}

double roofline_us(const BoundCase& bound, const std::string& unit, const DeviceProfile& profile) {
  const double memory_us =
      profile.bytes_per_second > 0 ? 1e6 * bound.bytes / profile.bytes_per_second : 0;
  return std::max(memory_us, compute_us(bound, unit, profile));
}

double burst_floor_us(const BoundCase& bound, const DeviceProfile& profile, uint32_t calls) {
  const double traffic =
      std::max(0.0, calls * bound.bytes - 2 * static_cast<double>(profile.l2_bytes));
  const double memory_us =
      profile.bytes_per_second > 0 ? 1e6 * traffic / profile.bytes_per_second : 0;
  double fastest = 0;
  for (const auto& [unit, rate] : profile.per_second) fastest = std::max(fastest, rate);
  return std::max(memory_us, fastest > 0 ? 1e6 * calls * bound.flops / fastest : 0);
}

}  // namespace assay
