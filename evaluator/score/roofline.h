// Physical limits: how fast a case could be at best, on a given device.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "tasks/task.h"

namespace assay {

/// Rates of a device: of the data sheet (what is possible) or as measured by `assay calibrate`
/// (what is reachable). Unknown rates are 0.
struct DeviceProfile {
  std::string device;                        // name as the driver gives it
  std::string source;                        // "datasheet" or "measured"
  double bytes_per_second = 0;               // device memory, read plus write
  std::map<std::string, double> per_second;  // unit ("fp32", "tc16", "tf32", "fp8", "int8", ...) ->
                                             // operations per second, dense
  double launch_us = 0;                      // an empty kernel in a graph chain
  uint64_t l2_bytes = 0;
};
void to_json(nlohmann::json& json, const DeviceProfile& profile);
void from_json(const nlohmann::json& json, DeviceProfile& profile);

/// The data sheet of a device by its name, where assay knows it (H100, H200, A100, L40S ...).
std::optional<DeviceProfile> datasheet(const std::string& device_name);

/// Least time of one call: max of bytes over bandwidth and operations over rate. 0 where the
/// profile lacks the rates.
double roofline_us(const BoundCase& bound, const std::string& unit, const DeviceProfile& profile);

/// Least time of a burst of `calls` calls on distinct slots: of the traffic, two caches' worth may
/// have stayed in L2.
double burst_floor_us(const BoundCase& bound, const std::string& unit, const DeviceProfile& profile,
                      uint32_t calls);

}  // namespace assay
