// The option --timing, which the commands that evaluate share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"

namespace assay {

void add_timing_option(CLI::App& command, std::string& timing);

/// The timing budget for EvaluateOptions: what was asked for, "benchmark" by default on a GPU, and
/// empty for off or the virtual device. usage: the virtual device was asked to time.
Result<std::string> timing_budget(const std::string& timing, const std::string& device);

}  // namespace assay
