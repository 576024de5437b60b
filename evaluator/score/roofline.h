// Physical limits: how fast a case could be at best, on a given device.
#pragma once

#include <optional>
#include <string>

#include "evaluator/device/profile.h"
#include "tasks/task.h"

namespace assay {

/// The data sheet of a device by its name, where assay knows it (H100, H200, A100, L40S ...).
std::optional<DeviceProfile> datasheet(const std::string& device_name);

/// Least time of one call: max of bytes over bandwidth and operations over rate. 0 where the
/// profile lacks the rates.
double roofline_us(const BoundCase& bound, const std::string& unit, const DeviceProfile& profile);

/// Least time of a burst of `calls` calls on distinct slots, whatever unit does the arithmetic:
/// products of f32 quality can be had from several products of a faster format. Of the traffic, two
/// caches' worth may have stayed in L2.
double burst_floor_us(const BoundCase& bound, const DeviceProfile& profile, uint32_t calls);

}  // namespace assay
