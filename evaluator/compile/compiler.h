// Compiles a candidate's .cu in the sandbox. compiler.cc opens with the theory of operation.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "evaluator/compile/artifact.h"

namespace assay {

struct CompileRequest {
  std::string source;                      // bytes as the candidate gave them
  std::string file_name = "candidate.cu";  // as diagnostics and #line name it
  std::string arch = "sm_90";
  /// Appended to the host pass only: defines assay_solve, through which the recorder calls solve
  /// (entry.h makes it from the task's signature).
  std::string entry;
  bool want_cubin = true;  // false: PTX and launcher only (the virtual device)
};

/// PTX that a candidate brought, without host code.
struct AssembleRequest {
  std::string ptx;
  std::string arch = "sm_90";
  bool want_cubin = true;  // false: the PTX is only read
};

/// Why there is no artifact, and whose fault it is: rejected (not UTF-8, too large, includes
/// outside the allow-list ...) or compile_error.
struct CompileFailure {
  enum class Kind { no_code, rejected, compile_error, timeout } kind = Kind::compile_error;
  std::string reason;       // machine-readable: "empty", "not_utf8", "too_large", "include",
                            // "syntax", "link", "compiler_limits", "no_solve", "no_kernels" ...
  std::string explanation;  // fit to be shown to the candidate's author
  std::vector<Diagnostic> diagnostics;
  std::string log;
};

struct CompileOutcome {
  std::shared_ptr<const Artifact> artifact;  // null exactly when `failure` is set
  std::optional<CompileFailure> failure;
};

struct CompilerOptions {
  bool use_nvrtc = true;  // device pass by NVRTC with precompiled headers; else nvcc
  bool use_cache = true;  // content-addressed, in cache_folder()/artifacts
  std::chrono::milliseconds time_limit{60'000};  // processor time of one compilation
};

/// Thread-safe; equal requests in flight are compiled once (single-flight).
class Compiler {
 public:
  /// Finds the toolchain (ASSAY_CUDA_HOME, nvcc on PATH, /usr/local/cuda, the private folder of
  /// the bootstrap); not_found says what is missing and how to get it.
  static Result<std::unique_ptr<Compiler>> create(CompilerOptions options = {});
  virtual ~Compiler() = default;

  /// An Error is ours (toolchain or sandbox trouble), never the candidate's.
  virtual Result<CompileOutcome> compile(const CompileRequest& request) = 0;

  /// An artifact without launcher. What the assembler refuses is a compile_error; text that is no
  /// PTX is Error{invalid}.
  virtual Result<CompileOutcome> assemble(const AssembleRequest& request) = 0;

  /// "nvcc 13.0.88, nvrtc 13.0, g++ 12.2.0": part of the cache key, stored with results.
  virtual std::string toolchain() const = 0;
};

}  // namespace assay
