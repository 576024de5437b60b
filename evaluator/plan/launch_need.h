// Whether a plan's result is the work of its kernels, or of copies alone.
#pragma once

#include "evaluator/plan/plan.h"

namespace assay {

/// Whether an operation other than a launch moves data from memory to memory. Where none does,
/// only kernels can have written what depends on the inputs.
bool copies_data(const LaunchPlan& plan);

/// The plan with its launches left out; what is left runs in the order it has. Where this passes
/// the check of a case, that case did not need the kernels.
LaunchPlan without_launches(LaunchPlan plan);

}  // namespace assay
