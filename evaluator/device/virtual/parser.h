// PTX text to ParsedModule. The text is untrusted.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "evaluator/device/virtual/module.h"

namespace assay::virtual_gpu {

/// Errors name the line of the PTX: `unsupported` for directives this device does not know,
/// `invalid` for text that is no PTX or beyond a limit.
Result<std::unique_ptr<ParsedModule>> parse_ptx(std::string text);

}  // namespace assay::virtual_gpu
