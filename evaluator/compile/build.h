// One build: the programs that make PTX, cubin and launcher of one source, in one sandbox.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/compile/compiler.h"
#include "evaluator/compile/diagnostics.h"
#include "evaluator/compile/steps.h"
#include "evaluator/compile/toolchain.h"
#include "sandbox/sandbox.h"

namespace assay {

/// What every build needs to know.
struct BuildContext {
  Toolchain toolchain;
  std::filesystem::path programs;  // the folder of assay-steps and assay-nvrtc
  /// Processor time of one build; the wall time may be three times that, on a busy machine.
  std::chrono::milliseconds time_limit{60'000};
  size_t file_bytes = size_t{128} << 20;  // largest file that a step may write
};

/// What a build made. Either `failure` is set, or `ptx`, `launcher` and, if wanted, `cubin` are.
struct BuildProduct {
  std::optional<CompileFailure> failure;
  std::string ptx;
  std::string cubin;
  std::string launcher;
  std::string resource_log;             // what ptxas -v said
  std::vector<Diagnostic> diagnostics;  // warnings
  std::string log;
};

/// The steps' results and the files they left.
struct StepsOutcome {
  std::optional<CompileFailure> failure;  // a limit was hit; the rest is then incomplete
  std::map<std::string, StepResult> results;
  std::map<std::string, std::string> files;

  bool succeeded(const std::string& step) const;
  /// What the step printed, standard output first; at most 1 MiB.
  std::string printed(const std::string& step) const;
  /// Everything the steps printed, under their names; at most 256 KiB.
  std::string log() const;
};

/// Runs `steps` in a sandbox of the compiler's policy whose work folder holds `inputs`; hands out
/// `outputs` and what the steps printed. An Error is ours.
Result<StepsOutcome> run_steps(const BuildContext& context, const std::vector<Step>& steps,
                               std::vector<sandbox::InputFile> inputs,
                               std::vector<std::string> outputs,
                               std::vector<sandbox::Mount> mounts = {});

/// Macros that nvcc defines for the architecture in the device pass: -D__CUDA_ARCH__=900 ...
std::vector<std::string> architecture_macros(const std::string& arch);
/// Include folders and macros of every preprocessing by nvcc.
std::vector<std::string> preprocessor_arguments(const Toolchain& toolchain);
/// ptxas with resource usage and line information: `ptx` -> `cubin`.
std::vector<std::string> assembler_arguments(const Toolchain& toolchain, const std::string& arch,
                                             const std::string& ptx, const std::string& cubin);
/// Links `object` into a shared library that needs libcudart.so.13 and nothing else of CUDA;
/// unresolved symbols are an error.
std::vector<std::string> link_arguments(const Toolchain& toolchain, const std::string& object,
                                        const std::string& library);

/// Stands in the launcher for the device code, which travels apart from it.
extern const char kFatbinSource[];

/// The failure for compilers' error messages that no more special rule explains.
CompileFailure failure_from_diagnostics(const CompileRequest& request,
                                        const std::vector<LocatedDiagnostic>& diagnostics,
                                        std::string log);

/// PTX names the candidate's file by its path in the sandbox; afterwards it is `file_name` alone.
void shorten_file_names(std::string& ptx, const std::string& file_name);

/// Machine code for PTX that a candidate brought. What ptxas refuses is a compile_error.
Result<BuildProduct> assemble_ptx(const BuildContext& context, const AssembleRequest& request);

/// nvcc's own pipeline, device and host pass in parallel: takes every source that nvcc takes. A
/// header of CUDA's that not everyone may read is Error{sandbox}.
Result<BuildProduct> build_with_nvcc(const BuildContext& context, const CompileRequest& request);

}  // namespace assay
