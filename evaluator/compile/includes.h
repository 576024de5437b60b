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

/// A header that could not be opened: its name, and what the system said.
struct UnopenedInclude {
  std::string name;
  std::string reason;  // "No such file or directory"
};

/// The header that stopped the preprocessor, if one did.
std::optional<UnopenedInclude> unopened_include(const std::vector<LocatedDiagnostic>& diagnostics);

/// Whether the preprocessor was denied a header that every candidate may read, as it says.
bool denied_header(const UnopenedInclude& include, const Toolchain& toolchain);

/// Whether the file exists and its mode lets everyone read it.
bool readable_by_all(const std::string& path);

/// The sentence for both.
std::string include_explanation(const std::string& name);

}  // namespace assay
