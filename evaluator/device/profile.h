// DeviceProfile: the rates of a device.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

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
/// Throws nlohmann::json::exception where the text has another form or a rate is not a finite
/// number that is 0 or more.
void from_json(const nlohmann::json& json, DeviceProfile& profile);

}  // namespace assay
