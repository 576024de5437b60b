// Runs a launch: blocks over threads.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/block.h"

namespace assay::virtual_gpu {

/// The number of the cluster that is started as number `order`: a permutation by the schedule seed.
uint64_t cluster_number(const Launch& launch, uint64_t order);

/// Runs all blocks on `threads` threads of this process. Afterwards launch.fault, counters and
/// notes say how it went.
void run_launch(Launch& launch, int threads, bool cooperative);

}  // namespace assay::virtual_gpu
