// Reading what the compilers print.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "evaluator/compile/artifact.h"

namespace assay {

/// A diagnostic with the file it is about, as the compiler named it.
struct LocatedDiagnostic {
  Diagnostic diagnostic;  // line and column of `file`
  std::string file;       // empty: none named
};

/// The diagnostics in the output of NVIDIA's front ends ("x.cu(3): error: ..."), of g++
/// ("x.cu:3:7: error: ...") and of the linker ("undefined reference"). At most 200, in order,
/// equal ones once.
std::vector<LocatedDiagnostic> parse_diagnostics(std::string_view text);

/// ptxas names lines of the PTX; they are mapped through its .loc directives to lines of `file`.
std::vector<LocatedDiagnostic> parse_ptxas_diagnostics(std::string_view text, std::string_view ptx,
                                                       const std::string& file);

/// Appends those of `more` that are not yet in `all` (same severity, line and message).
void merge_diagnostics(std::vector<LocatedDiagnostic>& all,
                       const std::vector<LocatedDiagnostic>& more);

/// Those of `file` keep their line, all others get line 0 and the file's name in the message.
std::vector<Diagnostic> for_author(const std::vector<LocatedDiagnostic>& located,
                                   std::string_view file);

/// The first errors as text, one a line: "candidate.cu(5): error: ...".
std::string summary(const std::vector<Diagnostic>& diagnostics, std::string_view file);

}  // namespace assay
