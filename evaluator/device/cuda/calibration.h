// What a GPU can reach: the ceilings that speeds are shown against.
#pragma once

#include "base/result.h"
#include "evaluator/device/cuda/context.h"
#include "evaluator/device/cuda/trusted_module.h"
#include "evaluator/device/profile.h"

namespace assay::cuda {

/// Measures copy bandwidth, the throughput of the arithmetic pipes and tensor cores, and the cost
/// of an empty kernel in a graph, each as the median of bursts of a few milliseconds with pauses
/// (so that the power limit does not act). Takes about two seconds. The context must be idle.
Result<DeviceProfile> measure_profile(const Context& context, TrustedModule& trusted);

}  // namespace assay::cuda
