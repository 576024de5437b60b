// The option --require-sandbox, the same for all commands that evaluate.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"

namespace assay {

/// What is asked for where nobody says: a host without namespaces (tier 3) wants an explicit
/// "none".
inline constexpr const char* kUsualSandbox = "namespaces";

/// `value` says "full", "namespaces" or "none" and must outlive the parsing.
void add_sandbox_option(CLI::App& command, std::string& value);

/// Ok when this machine offers what `value` asks for; otherwise an Error (sandbox) that says what
/// is missing.
Result<void> check_sandbox(const std::string& value);

}  // namespace assay
