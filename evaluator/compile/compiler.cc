// Theory of operation.
//
// compile() turns a candidate's source into an Artifact or into a failure that is the candidate's.
//
//   1. Checks that need no compiler: size, UTF-8, emptiness (source_check).
//   2. The cache (artifact_cache): its key is the digest of source, entry, file name, architecture,
//      options, toolchain and kVersion. Failures that a compilation would repeat are cached too;
//      limits that were hit are not, since they depend on the machine.
//   3. Single flight: of equal requests at the same time one compiles and the others wait for it.
//   4. The fast build (fast_build): the source is split into a device and a host half (split),
//      which NVRTC and g++ compile side by side against precompiled headers. It covers ordinary
//      sources and answers only with success: whatever it cannot take, errors of the candidate
//      included, goes on to step 5, so that a verdict never depends on the shortcut.
//   5. nvcc's own pipeline (nvcc_build), its steps taken apart and run side by side.
//   6. The PTX is read (ptx_header): kernels, parameter layouts, variables; what ptxas says about
//      registers, spills and shared memory is added.
//
// All programs run in the sandbox: the source is hostile, and an #include reads whatever the
// compiler can see. It sees the toolkit, the system's headers and its own work folder. Which files
// were really opened is asked from the preprocessor, and anything but headers of CUDA and of the
// standard library refuses the candidate (includes). The host pass alone gets the entry (entry.h)
// appended; errors that are only there mean a wrong signature.
#include "evaluator/compile/compiler.h"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <map>
#include <mutex>

#include "base/digest.h"
#include "base/install.h"
#include "evaluator/compile/artifact_cache.h"
#include "evaluator/compile/build.h"
#include "evaluator/compile/fast_build.h"
#include "evaluator/compile/ptx_header.h"
#include "evaluator/compile/source_check.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

// Changes whenever the same source would compile to something else.
constexpr const char* kVersion = "3";

bool valid_arch(const std::string& arch) {
  if (!arch.starts_with("sm_") || arch.size() < 5 || arch.size() > 7) return false;
  const size_t end = arch.find_first_not_of("0123456789", 3);
  if (end == std::string::npos) return true;
  return end >= 5 && end + 1 == arch.size() && (arch[end] == 'a' || arch[end] == 'f');
}

bool valid_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' && name[0] != '-' &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "._-") == std::string::npos;
}

bool repeatable(const CompileOutcome& outcome) {
  return !outcome.failure || (outcome.failure->kind != CompileFailure::Kind::timeout &&
                              outcome.failure->reason != "compiler_limits");
}

CompileOutcome failed(CompileFailure failure) { return {nullptr, std::move(failure)}; }

CompileFailure no_kernels() {
  return {CompileFailure::Kind::compile_error,
          "no_kernels",
          "the source has no kernel: no __global__ function is defined (or instantiated, if it is "
          "a template)",
          {},
          {}};
}

constexpr uint32_t kStaticSharedLimit = 48 << 10;  // of every architecture

/// The assembler says so too, but where no cubin is wanted it does not run.
std::optional<CompileFailure> too_much_shared(const std::vector<Kernel>& kernels) {
  for (const Kernel& kernel : kernels)
    if (kernel.static_shared_bytes > kStaticSharedLimit)
      return CompileFailure{
          CompileFailure::Kind::compile_error,
          "compiler_limits",
          fmt::format("kernel {} uses too much shared data: {} bytes of static __shared__ arrays "
                      "are more than {}; use dynamic shared memory (extern __shared__) and "
                      "cudaFuncSetAttribute for more",
                      kernel.demangled, kernel.static_shared_bytes, kStaticSharedLimit),
          {},
          {}};
  return {};
}

Error unknown_arch(const std::string& arch) {
  return {ErrorKind::usage, fmt::format("\"{}\" is no architecture; say for example sm_90", arch)};
}

class ToolkitCompiler final : public Compiler {
 public:
  ToolkitCompiler(BuildContext context, CompilerOptions options)
      : context_(std::move(context)),
        options_(options),
        cache_(cache_folder() / "artifacts"),
        fast_(options.use_nvrtc && !context_.toolchain.nvrtc.empty() ? FastBuild::create(context_)
                                                                     : nullptr) {}

  std::string toolchain() const override { return context_.toolchain.description(); }

  Result<CompileOutcome> compile(const CompileRequest& original) override {
    if (auto refusal = check_source(original.source)) return failed(*std::move(refusal));
    if (!valid_arch(original.arch)) return unknown_arch(original.arch);
    CompileRequest request = original;
    if (!valid_file_name(request.file_name)) request.file_name = "candidate.cu";
    return once(key_of(request), [&](const std::string& key) { return build(key, request); });
  }

  Result<CompileOutcome> assemble(const AssembleRequest& request) override {
    if (!valid_arch(request.arch)) return unknown_arch(request.arch);
    return once(key_of(request),
                [&](const std::string& key) { return assemble_now(key, request); });
  }

 private:
  using Flight = std::shared_future<Result<CompileOutcome>>;

  std::string key_of(const CompileRequest& request) const {
    return Digest()
        .add(kVersion)
        .add(toolchain())
        .add(fast_ ? "fast" : "nvcc")
        .add(request.arch)
        .add(request.want_cubin ? "cubin" : "ptx")
        .add(request.file_name)
        .add(request.entry)
        .add(request.source)
        .hex();
  }

  std::string key_of(const AssembleRequest& request) const {
    return Digest()
        .add(kVersion)
        .add(toolchain())
        .add("assemble")
        .add(request.arch)
        .add(request.want_cubin ? "cubin" : "ptx")
        .add(request.ptx)
        .hex();
  }

  /// From the cache, or made: the first of equal requests makes it, the others get its result.
  template <typename Make>
  Result<CompileOutcome> once(const std::string& key, const Make& make) {
    if (options_.use_cache)
      if (auto cached = cache_.find(key)) return *std::move(cached);
    std::promise<Result<CompileOutcome>> promise;
    Flight flight;
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = flights_.find(key); found != flights_.end())
        flight = found->second;
      else
        flights_[key] = promise.get_future().share();
    }
    if (flight.valid()) return flight.get();
    Result<CompileOutcome> outcome = make(key);
    if (outcome.ok() && options_.use_cache && repeatable(*outcome)) cache_.store(key, *outcome);
    promise.set_value(outcome);
    const std::lock_guard lock(mutex_);
    flights_.erase(key);
    return outcome;
  }

  Result<CompileOutcome> build(const std::string& key, const CompileRequest& request) {
    const auto begin = Clock::now();
    std::optional<BuildProduct> product;
    if (fast_) {
      ASSIGN_OR_RETURN(product, fast_->build(request));
    }
    if (!product) {
      ASSIGN_OR_RETURN(product, build_with_nvcc(context_, request));
    }
    return finish(key, request.arch, *std::move(product), begin);
  }

  Result<CompileOutcome> assemble_now(const std::string& key, const AssembleRequest& request) {
    const auto begin = Clock::now();
    BuildProduct product;
    product.ptx = request.ptx;
    if (request.want_cubin) {
      ASSIGN_OR_RETURN(product, assemble_ptx(context_, request));
    }
    return finish(key, request.arch, std::move(product), begin);
  }

  Result<CompileOutcome> finish(const std::string& key, const std::string& arch,
                                BuildProduct product, Clock::time_point begin) {
    if (product.failure) return failed(*std::move(product.failure));
    ASSIGN_OR_RETURN(PtxHeader header, parse_ptx_header(product.ptx));
    if (header.kernels.empty()) return failed(no_kernels());
    add_resource_usage(product.resource_log, header.kernels);
    if (auto failure = too_much_shared(header.kernels)) return failed(*std::move(failure));
    auto artifact = std::make_shared<Artifact>();
    artifact->key = key;
    artifact->arch = arch;
    artifact->ptx = std::move(product.ptx);
    artifact->cubin = std::move(product.cubin);
    artifact->launcher = std::move(product.launcher);
    artifact->kernels = std::move(header.kernels);
    artifact->variables = std::move(header.variables);
    artifact->diagnostics = std::move(product.diagnostics);
    artifact->log = std::move(product.log);
    artifact->compile_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    return CompileOutcome{std::move(artifact), {}};
  }

  const BuildContext context_;
  const CompilerOptions options_;
  const ArtifactCache cache_;
  const std::unique_ptr<FastBuild> fast_;
  std::mutex mutex_;
  std::map<std::string, Flight> flights_;  // guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<Compiler>> Compiler::create(CompilerOptions options) {
  BuildContext context;
  ASSIGN_OR_RETURN(context.toolchain, find_toolchain());
  ASSIGN_OR_RETURN(const std::filesystem::path steps, installed_file("bin/assay-steps"));
  context.programs = std::filesystem::canonical(steps).parent_path();
  context.time_limit = options.time_limit;
  return std::unique_ptr<Compiler>(new ToolkitCompiler(std::move(context), options));
}

}  // namespace assay
