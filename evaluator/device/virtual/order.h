// In which order the operations of a plan run.
#pragma once

#include <cstdint>
#include <vector>

#include "evaluator/plan/plan.h"

namespace assay::virtual_gpu {

/// Numbers of the plan's operations, each after all that it depends on. Schedule 0 is the order of
/// the recording; schedule 1 always takes the operation that was asked for last of those that may
/// run, so that streams which nothing orders change places; others take any of them. Operations
/// whose dependencies make no sense run as recorded.
std::vector<uint32_t> operation_order(const LaunchPlan& plan, uint32_t schedule_seed);

}  // namespace assay::virtual_gpu
