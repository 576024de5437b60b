// Devices by their ids.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "evaluator/device/device.h"

namespace assay {

/// "virtual", or "cuda:N". usage for any other id; device or not_found where there is no such GPU.
Result<std::unique_ptr<Device>> make_device(const std::string& id, const std::string& arch,
                                            int threads);

}  // namespace assay
