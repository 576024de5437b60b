// The runner's side of the socket: one device, one request after the other.
#pragma once

#include <memory>

#include "base/result.h"
#include "evaluator/device/device.h"

namespace assay {

/// Introduces the device, or says why there is none, and answers requests until the other side
/// closes the socket. Returns the exit status of the process.
int serve(const Result<std::unique_ptr<Device>>& device, int socket);

}  // namespace assay
