// Which header files a candidate may use.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evaluator/compile/diagnostics.h"
#include "evaluator/compile/toolchain.h"

namespace assay {

/// The first file in `dependencies` (what g++ -MD wrote: every file the preprocessor opened) that
/// is neither one of `own` nor a header of CUDA or of the C and C++ standard library.
std::optional<std::string> forbidden_include(std::string_view dependencies,
                                             const std::vector<std::string>& own,
                                             const Toolchain& toolchain);

/// The name of a header that was asked for and is not there, if that is what stopped the
/// preprocessor.
std::optional<std::string> missing_include(const std::vector<LocatedDiagnostic>& diagnostics);

/// The sentence for both.
std::string include_explanation(const std::string& name);

}  // namespace assay
