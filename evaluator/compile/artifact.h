// Artifact: what the compiler made of one candidate source for one architecture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace assay {

/// One parameter of a kernel as the PTX declares it. The offset is that of the parameter buffer.
struct KernelParameter {
  uint32_t offset = 0;
  uint32_t bytes = 0;
  uint32_t alignment = 1;
};

struct Kernel {
  std::string name;       // the symbol, mangled
  std::string demangled;  // for people
  std::vector<KernelParameter> parameters;
  uint32_t registers = 0;          // per thread
  uint32_t spill_store_bytes = 0;  // per thread
  uint32_t spill_load_bytes = 0;
  uint32_t stack_bytes = 0;          // local memory per thread
  uint32_t static_shared_bytes = 0;  // per block
  uint32_t max_threads = 0;          // __launch_bounds__; 0: none given
};

/// A __device__ or __constant__ variable at module scope.
struct ModuleVariable {
  std::string name;
  uint64_t bytes = 0;
  bool constant = false;
};

struct Diagnostic {
  enum class Severity { note, warning, error } severity = Severity::error;
  uint32_t line = 0;  // in the candidate's own file; 0: elsewhere or none
  uint32_t column = 0;
  std::string message;
};

struct Artifact {
  std::string key;   // content address: SHA-256 of source, options, architecture and toolchain
  std::string arch;  // "sm_90"
  std::string ptx;
  std::string cubin;     // bytes; empty when only PTX was asked for
  std::string launcher;  // bytes of the shared library that defines solve
  std::vector<Kernel> kernels;
  std::vector<ModuleVariable> variables;
  std::vector<Diagnostic> diagnostics;  // warnings; deduplicated
  std::string log;                      // the compilers' own words
  bool from_cache = false;
  double compile_ms = 0;  // wall time of the compilation that made it

  const Kernel* find_kernel(const std::string& name) const {
    for (const Kernel& kernel : kernels)
      if (kernel.name == name) return &kernel;
    return nullptr;
  }
};

}  // namespace assay
