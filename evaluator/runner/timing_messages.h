// The messages of timing and calibration, in the forms that messages.h describes:
//
//   client -> runner   {type: "time", bound, ...}   answered by {timing, healthy} or
//                                                   {error, healthy}
//   client -> runner   {type: "calibrate"}          answered by {profile, healthy} or the like
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "evaluator/timing/timed_case.h"

namespace assay {

/// A job without its artifacts, which are named by their keys.
nlohmann::json time_job_message(const TimeJob& job);
Result<TimeJob> parse_time_job(const nlohmann::json& message);

/// The raw report. What is read back is bounded, finite and consistent: intervals are ordered,
/// times are positive where there are samples.
nlohmann::json timing_message(const TimingReport& report);
Result<TimingReport> parse_timing(const nlohmann::json& message);

Result<DeviceProfile> parse_profile(const nlohmann::json& message);

}  // namespace assay
