// What went wrong between the candidate's solve and the entry that calls it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "evaluator/compile/compiler.h"
#include "evaluator/compile/diagnostics.h"

namespace assay {

/// The name under which diagnostics refer to the appended entry.
inline constexpr const char* kEntryFile = "assay_entry";
/// The entry's first line tells the declaration it expects, behind these characters.
inline constexpr const char* kExpects = "// expects: ";

/// The text appended to the candidate's source in the host pass.
std::string entry_section(const CompileRequest& request);

/// no_solve or wrong_signature when the entry is the only place with errors.
std::optional<CompileFailure> entry_failure(const CompileRequest& request,
                                            const std::vector<LocatedDiagnostic>& diagnostics,
                                            std::string log);

/// The failure for symbols that nothing defines.
CompileFailure link_failure(const CompileRequest& request,
                            const std::vector<LocatedDiagnostic>& diagnostics, std::string log);

}  // namespace assay
