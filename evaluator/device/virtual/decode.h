// A kernel of a parsed module to a Program.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "evaluator/device/virtual/memory.h"
#include "evaluator/device/virtual/program.h"

namespace assay::virtual_gpu {

/// Where a module's variables and functions are.
struct Symbols {
  const AddressSpace* space = nullptr;
  std::vector<uint64_t> variables;  // generic address by index in ParsedModule::variables
};

/// Decodes `kernel` and every function it can reach. Instructions that this device does not know
/// become operations that stop the kernel with a fault of kind `unsupported`.
std::unique_ptr<Program> decode(const ParsedModule& module, const Function& kernel,
                                const Symbols& symbols);

}  // namespace assay::virtual_gpu
