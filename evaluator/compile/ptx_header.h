// What a PTX module declares: kernels with their parameter layouts, and variables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "evaluator/compile/artifact.h"

namespace assay {

struct PtxHeader {
  std::string target;  // "sm_90"
  std::vector<Kernel> kernels;
  std::vector<ModuleVariable> variables;  // .global and .const at module scope, without .extern
};

/// Reads the declarations of `ptx`, and of the kernels' bodies only how much static shared memory
/// they use. `invalid` names the line of what
/// was not understood. The text may come from anywhere: counts and sizes are bounded.
Result<PtxHeader> parse_ptx_header(std::string_view ptx);

/// Adds what `ptxas -v` printed (registers, spills, stack, static shared memory) to the kernels it
/// names; anything else in `log` is ignored.
void add_resource_usage(std::string_view log, std::vector<Kernel>& kernels);

}  // namespace assay
