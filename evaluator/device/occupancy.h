// Occupancy: how many blocks of a kernel a multiprocessor holds at once.
//
// Follows the section "Occupancy Calculator" of the CUDA C++ Best Practices Guide with the
// allocation units of compute capability 8.0 and later.
#pragma once

#include <cstdint>

#include "evaluator/device/info.h"

namespace assay {

/// What one block of a launch occupies.
struct BlockUse {
  uint32_t threads = 0;
  uint32_t registers = 0;     // per thread; 0: unknown, not a limit
  uint64_t shared_bytes = 0;  // static and dynamic together
};

/// Blocks resident on one multiprocessor; 0 where not even one fits.
uint32_t resident_blocks(const DeviceInfo& device, const BlockUse& use);

/// The largest dynamic shared memory, in bytes, with which `blocks` blocks still fit.
uint64_t available_dynamic_shared(const DeviceInfo& device, uint64_t static_shared_bytes,
                                  uint32_t blocks);

/// The most threads a block of a kernel with so many registers per thread can have.
uint32_t max_threads(const DeviceInfo& device, uint32_t registers);

}  // namespace assay
