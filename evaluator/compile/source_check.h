// What is wrong with a source before any compiler sees it.
#pragma once

#include <optional>
#include <string_view>

#include "evaluator/compile/compiler.h"

namespace assay {

/// Largest source a candidate may hand in.
inline constexpr size_t kMaximumSourceBytes = size_t{1} << 20;

/// no_code/empty, rejected/too_large or rejected/not_utf8; nullopt: none of them.
std::optional<CompileFailure> check_source(std::string_view source);

}  // namespace assay
