// What evaluate.cc needs for timed cases: the verdict behind a violation, physics, several
// processes, and what is kept about a device between runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/device/info.h"
#include "evaluator/outcome.h"
#include "evaluator/score/roofline.h"
#include "evaluator/score/score.h"
#include "evaluator/timing/protocol.h"

namespace assay {

/// The outcome that a violation's reason stands for.
Outcome outcome_of_violation(const std::string& reason);

/// A burst of the candidate that was faster than the device can be, as a violation.
std::optional<TimingViolation> physics_violation(const TimingReport& report, const BoundCase& bound,
                                                 const DeviceProfile& datasheet);

/// The speedup that the reports of one or more processes agree on: for one, its own; for several,
/// the mean of the logs with Student's t interval over processes, or the processes' own interval
/// where that is wider. 0 where a process could not tell.
Speedup combined_speedup(const std::vector<TimingReport>& processes);

/// What `assay calibrate` measured on this device, if it ever did. save_profile: io.
std::optional<DeviceProfile> load_profile(const DeviceInfo& device);
Result<void> save_profile(const DeviceInfo& device, const DeviceProfile& profile);

}  // namespace assay
