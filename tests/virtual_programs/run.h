// Runs the programs on a device and says which results are wrong.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/compile/artifact.h"
#include "evaluator/device/device.h"
#include "tests/virtual_programs/program.h"

namespace assay::virtual_programs {

/// The programs as what a compiler would have made of them. Without a cubin: an artifact for
/// hardware needs that of module_text() from ptxas.
Artifact artifact_of(std::span<const Program> programs);

/// The outputs of program number `index` of the module, a slot for each lane and result.
Result<std::vector<uint64_t>> run_program(Device& device, Module& module, const Program& program,
                                          size_t index);

}  // namespace assay::virtual_programs
