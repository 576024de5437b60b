// Theory of operation.
//
// nvcc spends most of a small candidate's compilation on headers: cuda_runtime.h alone costs its
// front ends 0.7 s of CPU time, twice read and written out as text in between. The fast build has
// each half of a split source (split.h) compiled once, against headers read once:
//
//   host.cu   -> g++ -S      -> host.s   -> as, ld -> launcher.so
//   device.cu -> assay-nvrtc -> device.ptx -> match -> ptxas -> cubin
//
// The two rows run side by side. Which instances of kernel templates exist is known only once g++
// has compiled the host half; until then NVRTC compiles those that are written at the launches, and
// what it makes is taken if they turn out to be the right ones. Otherwise it starts again.
//
// Precompiled headers depend on toolkit, options and the set of headers. They are made on first
// need, in a sandbox of their own from text that is all ours, and kept in cache_folder()/headers;
// candidates' sandboxes see them read-only, so that no candidate can write what another one reads.
//
// Whatever goes wrong in here (a step fails, symbols do not match, a limit is hit) means "not for
// the fast build", and nvcc has the last word.
#include "evaluator/compile/fast_build.h"

#include <fmt/format.h>

#include <mutex>

#include "base/digest.h"
#include "base/files.h"
#include "base/install.h"
#include "evaluator/compile/diagnostics.h"
#include "evaluator/compile/entry_check.h"
#include "evaluator/compile/preludes.h"
#include "evaluator/compile/split.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kTimeLimit{10'000};
constexpr const char* kHostHeader = "host.h";
constexpr const char* kDeviceHeader = "device.pch";
constexpr const char* kImpossible = "impossible";
constexpr const char* kGuess = "device_guess";
constexpr const char* kGuessedNames = "guessed_names";

template <typename Item>
void append(std::vector<Item>& to, std::vector<Item> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::string take(StepsOutcome& outcome, const std::string& name) {
  const auto found = outcome.files.find(name);
  return found == outcome.files.end() ? std::string() : std::move(found->second);
}

class NvrtcBuild final : public FastBuild {
 public:
  explicit NvrtcBuild(const BuildContext& context) : context_(context) {
    context_.time_limit = std::min(context.time_limit, kTimeLimit);
  }

  Result<std::optional<BuildProduct>> build(const CompileRequest& request) override {
    const auto halves = split_source(request.source);
    if (!halves) return std::optional<BuildProduct>();
    const auto preludes = make_preludes(halves->includes);
    if (!preludes) return std::optional<BuildProduct>();
    const auto host_header = host_header_folder(preludes->host.precompiled);
    const auto device_header = device_header_folder(preludes->device.precompiled, request.arch);
    if (!host_header || !device_header) return std::optional<BuildProduct>();
    return compile(request, *halves, *preludes, *host_header, *device_header);
  }

 private:
  std::string nvrtc_program() const { return (context_.programs / "assay-nvrtc").string(); }

  std::vector<std::string> host_options() const {
    const std::string include = context_.toolchain.include.string();
    return {"-O1",  "-w",           "-std=c++17", "-fPIC",
            "-m64", "-I" + include, "-isystem",   include + "/cccl"};
  }

  std::vector<std::string> device_options(const std::string& arch) const {
    const std::string include = context_.toolchain.include.string();
    return {"--gpu-architecture=compute_" + arch.substr(3),
            "--std=c++17",
            "-lineinfo",
            "-D__CUDACC_RELAXED_CONSTEXPR__",
            "-D__CUDACC_EXTENDED_LAMBDA__",
            "--include-path=" + include,
            "--include-path=" + include + "/cccl"};
  }

  /// The folder for a precompiled header, made by `make` if it is not there. nullopt: it cannot be
  /// made, now or at all; the latter is what `make` calls false and a file of the name kImpossible
  /// remembers.
  template <typename Make>
  std::optional<fs::path> header_folder(const std::string& key, const char* product, Make make) {
    const std::lock_guard lock(mutex_);
    const fs::path folder = cache_folder() / "headers" / key;
    if (fs::exists(folder / product)) return folder;
    if (fs::exists(folder / kImpossible)) return {};
    const Result<bool> made = make(folder);
    if (!made.ok()) return {};  // trouble of this machine: the next candidate tries again
    if (*made) return folder;
    std::error_code ignored;
    fs::create_directories(folder, ignored);
    (void)write_file(folder / kImpossible, "");
    return {};
  }

  std::optional<fs::path> host_header_folder(const std::string& text) {
    std::vector<std::string> arguments = {context_.toolchain.host_compiler.string()};
    append(arguments, host_options());
    const std::string key = header_key("host", text, arguments);
    append(arguments, {"-x", "c++-header", kHostHeader, "-o", "host.h.gch"});
    return header_folder(key, "host.h.gch", [&](const fs::path& folder) {
      return make_header({"header", arguments, {}}, kHostHeader, text, "host.h.gch", folder);
    });
  }

  std::optional<fs::path> device_header_folder(const std::string& text, const std::string& arch) {
    std::vector<std::string> arguments = {nvrtc_program(), "precompile",
                                          context_.toolchain.nvrtc.string(), "device.h",
                                          kDeviceHeader};
    append(arguments, device_options(arch));
    const std::string key = header_key("device", text, arguments);
    return header_folder(key, kDeviceHeader, [&](const fs::path& folder) {
      return make_header({"header", arguments, {}}, "device.h", text + "#pragma nv_hdrstop\n",
                         kDeviceHeader, folder);
    });
  }

  std::string header_key(const char* half, const std::string& text,
                         const std::vector<std::string>& arguments) const {
    Digest digest;
    digest.add("1").add(half).add(text).add(context_.toolchain.description());
    for (const std::string& argument : arguments) digest.add(argument);
    return digest.hex();
  }

  /// The product is moved into place last, so that its presence means that all is there.
  Result<bool> make_header(const Step& step, const std::string& source, const std::string& text,
                           const std::string& product, const fs::path& folder) {
    BuildContext context = context_;
    context.time_limit = std::chrono::milliseconds(60'000);
    context.file_bytes = size_t{300} << 20;  // at most NVRTC's heap of 256 MiB
    ASSIGN_OR_RETURN(StepsOutcome outcome, run_steps(context, {step}, {{source, text}}, {product}));
    if (outcome.failure || !outcome.succeeded(step.name)) return false;
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
      return Error{ErrorKind::io,
                   fmt::format("cannot make {}: {}", folder.string(), error.message())};
    RETURN_IF_ERROR(write_file(folder / source, text));
    RETURN_IF_ERROR(write_file(folder / product, take(outcome, product)));
    return true;
  }

  std::vector<Step> make_steps(const CompileRequest& request, const SplitSource& halves,
                               const fs::path& host_header, const fs::path& device_header) const {
    const Toolchain& toolchain = context_.toolchain;
    Step host{"host_compile", {toolchain.host_compiler.string(), "-S", "-x", "c++"}, {}};
    append(host.arguments, host_options());
    append(host.arguments,
           {"-include", (host_header / kHostHeader).string(), "host.cu", "-o", "host.s"});
    std::vector<std::string> options = device_options(request.arch);
    append(options,
           {"--pch-messages=false", "--use-pch=" + (device_header / kDeviceHeader).string()});
    const auto nvrtc_step = [&](const char* name, std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), nvrtc_program());
      append(arguments, options);
      return Step{name, std::move(arguments), {}};
    };
    const std::string library = toolchain.nvrtc.string();
    std::vector<Step> steps = {host};
    if (halves.has_kernel_templates) {
      if (!halves.launched_templates.empty())
        steps.push_back(nvrtc_step(
            kGuess, {"guess", library, "device.cu", kGuessedNames, std::string(kGuess) + ".ptx"}));
      steps.push_back(nvrtc_step(
          "device_compile", {"instantiate", library, "device.cu", "host.s", kGuess, "device.ptx"}));
      steps.back().after = {"host_compile"};
      if (!halves.launched_templates.empty()) steps.back().behind = {kGuess};
    } else {
      steps.push_back(
          nvrtc_step("device_compile", {"compile", library, "device.cu", "device.ptx"}));
    }
    append(steps, {{"match",
                    {nvrtc_program(), "match", "host.s", "device.ptx", "matched.ptx"},
                    {"host_compile", "device_compile"}},
                   {"link", link_arguments(toolchain, "host.s", "launcher.so"), {"host_compile"}}});
    if (request.want_cubin)
      steps.push_back({"assemble",
                       assembler_arguments(toolchain, request.arch, "matched.ptx", "device.cubin"),
                       {"match"}});
    return steps;
  }

  Result<std::optional<BuildProduct>> compile(const CompileRequest& request,
                                              const SplitSource& halves, const Preludes& preludes,
                                              const fs::path& host_header,
                                              const fs::path& device_header) {
    const std::vector<Step> steps = make_steps(request, halves, host_header, device_header);
    const std::string line_one = fmt::format("#line 1 \"{}\"\n", request.file_name);
    ASSIGN_OR_RETURN(
        StepsOutcome outcome,
        run_steps(context_, steps,
                  {{"host.cu",
                    preludes.host.rest + line_one + halves.host + "\n" + entry_section(request)},
                   {"device.cu", preludes.device.precompiled + "#pragma nv_hdrstop\n" +
                                     preludes.device.rest + line_one + halves.device + "\n"},
                   {kGuessedNames, fmt::format("{}", fmt::join(halves.launched_templates, "\n"))}},
                  {"matched.ptx", "device.cubin", "launcher.so"},
                  {{host_header}, {device_header}}));
    if (outcome.failure) return std::optional<BuildProduct>();
    for (const Step& step : steps)
      if (step.name != kGuess && !outcome.succeeded(step.name))
        return std::optional<BuildProduct>();
    BuildProduct product;
    product.log = outcome.log();
    product.resource_log = outcome.printed("assemble");
    product.diagnostics =
        for_author(parse_diagnostics(outcome.printed("device_compile")), request.file_name);
    product.ptx = take(outcome, "matched.ptx");
    product.cubin = take(outcome, "device.cubin");
    product.launcher = take(outcome, "launcher.so");
    shorten_file_names(product.ptx, request.file_name);
    return std::optional<BuildProduct>(std::move(product));
  }

  BuildContext context_;
  std::mutex mutex_;  // one precompiled header is made at a time
};

}  // namespace

std::unique_ptr<FastBuild> FastBuild::create(const BuildContext& context) {
  return std::make_unique<NvrtcBuild>(context);
}

}  // namespace assay
