#include "evaluator/compile/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "evaluator/compile/diagnostics.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPrintedBytes = size_t{1} << 20;
constexpr size_t kLogBytes = size_t{256} << 10;

bool below(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

/// The folders a build reads, without those below /usr, which every sandbox shows.
std::vector<sandbox::Mount> build_mounts(const BuildContext& context) {
  const Toolchain& toolchain = context.toolchain;
  std::vector<fs::path> folders;
  for (const fs::path& folder : {toolchain.root, context.programs, toolchain.include,
                                 toolchain.cudafe.parent_path(), toolchain.cicc.parent_path(),
                                 toolchain.ptxas.parent_path(), toolchain.runtime.parent_path()})
    if (!below(folder, "/usr") &&
        std::none_of(folders.begin(), folders.end(),
                     [&](const fs::path& known) { return below(folder, known); }))
      folders.push_back(folder);
  std::vector<sandbox::Mount> mounts;
  for (const fs::path& folder : folders) mounts.push_back({folder});
  return mounts;
}

CompileFailure limit_failure(std::string explanation, std::string log) {
  return {CompileFailure::Kind::compile_error,
          "compiler_limits",
          std::move(explanation),
          {},
          std::move(log)};
}

/// What a sandbox's end means for the candidate; nullopt: it ended by itself.
std::optional<CompileFailure> failure_of_exit(const sandbox::Outcome& outcome,
                                              const sandbox::Limits& limits,
                                              const std::string& log) {
  switch (outcome.exit) {
    case sandbox::Exit::timeout:
      return CompileFailure{CompileFailure::Kind::timeout,
                            "compile_time",
                            fmt::format("compiling took longer than {} s of processor time",
                                        static_cast<double>(limits.cpu.count()) / 1000),
                            {},
                            log};
    case sandbox::Exit::memory:
      return limit_failure(
          fmt::format("the compiler needed more than {} MiB of memory", limits.memory_bytes >> 20),
          log);
    case sandbox::Exit::pids:
    case sandbox::Exit::output:
      return limit_failure("the compiler hit a limit of its sandbox: " + outcome.explanation, log);
    default:
      return {};
  }
}

/// A compiler that dies by a signal was driven out of its limits by the source.
std::optional<CompileFailure> failure_of_killed_step(const StepsOutcome& outcome) {
  for (const auto& [name, result] : outcome.results)
    if (result.state == StepResult::State::killed)
      return limit_failure(
          fmt::format("the compiler ended by signal {} in the step {}: the source asks for more "
                      "memory, recursion or output than it has",
                      result.code, name),
          outcome.log());
  return {};
}

/// The same steps with the host compiler's own programs started through assay-steps.
std::vector<Step> watched(std::vector<Step> steps, const Toolchain& toolchain,
                          const std::string& program) {
  for (Step& step : steps)
    if (step.arguments[0] == toolchain.host_compiler)
      step.arguments.insert(step.arguments.begin() + 1, {"-wrapper", program + ",--watch"});
  return steps;
}

}  // namespace

const char kFatbinSource[] = R"(#include "fatbinary_section.h"
asm(".section .nv_fatbin, \"a\"\n.align 8\nassay_fatbin:\n"
    ".quad 0x00100001ba55ed50, 0\n.text\n");
extern "C" {
extern __attribute__((visibility("hidden"))) const unsigned long long assay_fatbin[2];
static const __fatBinC_Wrapper_t __fatDeviceText
    __attribute__((aligned(8), section(".nvFatBinSegment"))) = {0x466243b1, 1, assay_fatbin, 0};
}
)";

bool StepsOutcome::succeeded(const std::string& step) const {
  const auto found = results.find(step);
  return found != results.end() && found->second.state == StepResult::State::succeeded;
}

std::string StepsOutcome::printed(const std::string& step) const {
  std::string text;
  for (const char* ending : {".out", ".err"})
    if (const auto found = files.find(step + ending); found != files.end())
      text += found->second.substr(0, kPrintedBytes - std::min(kPrintedBytes, text.size()));
  // Compilers repeat what the source says, up to sequences that a terminal obeys.
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') || c == '\x7f') c = '?';
  return text;
}

std::string StepsOutcome::log() const {
  std::string text;
  for (const auto& [name, result] : results) {
    const std::string output = printed(name);
    if (output.empty() || text.size() >= kLogBytes) continue;
    text += fmt::format("[{}]\n{}", name, output.substr(0, kLogBytes - text.size()));
    if (!text.ends_with('\n')) text += '\n';
  }
  return text;
}

Result<StepsOutcome> run_steps(const BuildContext& context, const std::vector<Step>& steps,
                               std::vector<sandbox::InputFile> inputs,
                               std::vector<std::string> outputs,
                               std::vector<sandbox::Mount> mounts) {
  const std::string program = (context.programs / "assay-steps").string();
  sandbox::Command command;
  command.arguments = {program};
  command.environment = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C"}, {"TMPDIR", "."}};
  command.mounts = build_mounts(context);
  command.mounts.insert(command.mounts.end(), mounts.begin(), mounts.end());
  command.inputs = std::move(inputs);
  command.inputs.push_back({kStepsFile, steps_to_json(watched(steps, context.toolchain, program))});
  command.outputs = std::move(outputs);
  command.outputs.push_back(kStepResultsFile);
  for (const Step& step : steps)
    for (const char* ending : {".out", ".err"}) command.outputs.push_back(step.name + ending);
  sandbox::Limits limits;
  limits.wall = 3 * context.time_limit;
  limits.cpu = context.time_limit;
  limits.file_bytes = context.file_bytes;
  ASSIGN_OR_RETURN(const sandbox::Outcome end,
                   sandbox::run(command, limits, sandbox::Policy::compiler));

  StepsOutcome outcome;
  outcome.files = end.outputs;
  if (const auto text = end.outputs.find(kStepResultsFile); text != end.outputs.end()) {
    ASSIGN_OR_RETURN(outcome.results, results_from_json(text->second));
  }
  outcome.failure = failure_of_exit(end, limits, outcome.log());
  if (outcome.failure) return outcome;
  if (end.exit != sandbox::Exit::exited || end.code != 0 || outcome.results.empty())
    return Error{ErrorKind::sandbox,
                 fmt::format("the compiler's sandbox ended with {} (status {}): {} {}",
                             sandbox::name(end.exit), end.code, end.explanation,
                             end.standard_error.substr(0, 500))};
  // Nothing of the candidate's runs here, and limits end a compiler otherwise.
  for (const auto& [name, result] : outcome.results)
    if (result.state == StepResult::State::killed && result.code == SIGKILL)
      return Error{ErrorKind::sandbox,
                   fmt::format("the compiler was killed from outside in the step {}", name)};
  outcome.failure = failure_of_killed_step(outcome);
  return outcome;
}

std::vector<std::string> architecture_macros(const std::string& arch) {
  const std::string digits = arch.substr(3, arch.find_first_not_of("0123456789", 3) - 3);
  std::vector<std::string> macros = {fmt::format("-D__CUDA_ARCH__={}0", digits),
                                     fmt::format("-D__CUDA_ARCH_LIST__={}0", digits)};
  if (arch.ends_with('a')) {
    macros.push_back(fmt::format("-D__CUDA_ARCH_FEAT_SM{}_ALL", digits));
    macros.push_back(fmt::format("-D__CUDA_ARCH_SPECIFIC__={}0", digits));
  }
  if (arch.ends_with('a') || arch.ends_with('f'))
    macros.push_back(fmt::format("-D__CUDA_ARCH_FAMILY_SPECIFIC__={}0", digits));
  return macros;
}

std::vector<std::string> preprocessor_arguments(const Toolchain& toolchain) {
  return {"-std=c++17",
          "-D__CUDACC__",
          "-D__NVCC__",
          "-D__CUDACC_EXTENDED_LAMBDA__",
          "-D__CUDACC_RELAXED_CONSTEXPR__",
          fmt::format("-D__CUDACC_VER_MAJOR__={}", toolchain.cuda_major),
          fmt::format("-D__CUDACC_VER_MINOR__={}", toolchain.cuda_minor),
          fmt::format("-D__CUDACC_VER_BUILD__={}", toolchain.cuda_build),
          fmt::format("-D__CUDA_API_VER_MAJOR__={}", toolchain.cuda_major),
          fmt::format("-D__CUDA_API_VER_MINOR__={}", toolchain.cuda_minor),
          "-D__NVCC_DIAG_PRAGMA_SUPPORT__=1",
          "-D__CUDACC_DEVICE_ATOMIC_BUILTINS__=1",
          "-I" + toolchain.include.string(),
          "-isystem",
          (toolchain.include / "cccl").string(),
          "-fPIC",
          "-m64"};
}

std::vector<std::string> assembler_arguments(const Toolchain& toolchain, const std::string& arch,
                                             const std::string& ptx, const std::string& cubin) {
  return {toolchain.ptxas.string(),
          "-arch=" + arch,
          "-m64",
          "-v",
          "--generate-line-info",
          ptx,
          "-o",
          cubin};
}

std::vector<std::string> link_arguments(const Toolchain& toolchain, const std::string& object,
                                        const std::string& library) {
  return {toolchain.host_compiler.string(),
          "-shared",
          "-fPIC",
          "-Wl,-z,defs",
          "-Wl,--no-as-needed",
          object,
          toolchain.runtime.string(),
          "-o",
          library};
}

CompileFailure failure_from_diagnostics(const CompileRequest& request,
                                        const std::vector<LocatedDiagnostic>& diagnostics,
                                        std::string log) {
  CompileFailure failure;
  failure.reason = "syntax";
  failure.log = std::move(log);
  failure.diagnostics = for_author(diagnostics, request.file_name);
  failure.explanation = summary(failure.diagnostics, request.file_name);
  if (failure.explanation.empty())
    failure.explanation = "the compiler failed: " + failure.log.substr(0, 1000);
  if (failure.log.find("File size limit exceeded") != std::string::npos) {
    failure.reason = "compiler_limits";
    failure.explanation = "what the compiler makes of the source is larger than a file may be";
  }
  for (const std::string_view phrase :
       {"nested depth", "template instantiation depth", "excessive recursion", "uses too much",
        "constexpr evaluation operation count", "constexpr loop iteration"})
    if (failure.explanation.find(phrase) != std::string::npos) failure.reason = "compiler_limits";
  return failure;
}

Result<BuildProduct> assemble_ptx(const BuildContext& context, const AssembleRequest& request) {
  const Step step{
      "assemble",
      assembler_arguments(context.toolchain, request.arch, "device.ptx", "device.cubin"),
      {}};
  ASSIGN_OR_RETURN(StepsOutcome outcome,
                   run_steps(context, {step}, {{"device.ptx", request.ptx}}, {"device.cubin"}));
  BuildProduct product;
  product.failure = std::move(outcome.failure);
  if (!product.failure && !outcome.succeeded("assemble"))
    product.failure =
        CompileFailure{CompileFailure::Kind::compile_error,
                       "assembler",
                       "ptxas refuses the kernels: " + outcome.printed("assemble").substr(0, 1000),
                       {},
                       outcome.log()};
  if (product.failure) return product;
  product.ptx = request.ptx;
  product.cubin = std::move(outcome.files["device.cubin"]);
  product.resource_log = outcome.printed("assemble");
  product.log = outcome.log();
  return product;
}

void shorten_file_names(std::string& ptx, const std::string& file_name) {
  const std::string ending = "/" + file_name + "\"";
  for (size_t at = ptx.find("\t.file\t"); at != std::string::npos;
       at = ptx.find("\t.file\t", at + 1)) {
    const size_t end = std::min(ptx.find('\n', at), ptx.size());
    const size_t open = ptx.find('"', at);
    const size_t tail = ptx.find(ending, at);
    if (open < end && tail < end) ptx.erase(open + 1, tail - open);
  }
}

}  // namespace assay
