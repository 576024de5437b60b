// The real device: plans replayed as CUDA graphs through the driver API.
#pragma once

#include <memory>

#include "base/result.h"
#include "evaluator/device/device.h"

namespace assay::cuda {

/// GPU number `ordinal`. Errors (device, not_found): no driver, no such GPU, GPU busy.
Result<std::unique_ptr<Device>> make_device(int ordinal);

}  // namespace assay::cuda
