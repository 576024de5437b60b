// What a run of a plan costs, for choosing among plans that should compute the same.
#pragma once

#include <optional>

#include "base/result.h"
#include "evaluator/check/check.h"

namespace assay {

/// The cost of the job's candidate on inputs of the job's seed: on a GPU the least host time of its
/// `repeats` runs in milliseconds (fewer runs where they are long), on the virtual device the
/// instructions that the lanes of one run execute. Absent where the candidate cannot run or faults.
/// Outputs are not looked at. Errors are ours.
Result<std::optional<double>> run_cost(Device& device, const CheckJob& job);

}  // namespace assay
