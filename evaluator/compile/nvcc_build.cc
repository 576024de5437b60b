// nvcc's pipeline with its steps taken apart, so that device and host pass run side by side and
// nothing runs that the artifact does not need (device linking, packing of the fat binary).
#include <fmt/format.h>

#include <algorithm>

#include "evaluator/compile/build.h"
#include "evaluator/compile/diagnostics.h"
#include "evaluator/compile/entry_check.h"
#include "evaluator/compile/includes.h"

namespace assay {
namespace {

// Part of the names of anonymous namespaces; nvcc makes it from the file's name and content.
constexpr const char* kModuleId = "_assay";

struct Names {
  explicit Names(const std::string& file) : source(file) {}
  std::string source;
  std::string host_source = "host_pass.cu";
};

void append(std::vector<std::string>& to, std::vector<std::string> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Step preprocess(const BuildContext& context, const std::string& name, const std::string& source,
                const std::vector<std::string>& macros) {
  Step step{name, {context.toolchain.host_compiler.string(), "-E", "-x", "c++"}, {}};
  append(step.arguments, preprocessor_arguments(context.toolchain));
  append(step.arguments, macros);
  append(step.arguments,
         {"-include", "cuda_runtime.h", "-MD", "-MF", name + ".d", source, "-o", name + ".ii"});
  return step;
}

std::vector<std::string> front_end_arguments(const Toolchain& toolchain, const std::string& file) {
  return {"--c++17",
          "--static-host-stub",
          "--device-hidden-visibility",
          fmt::format("--gnu_version={}", toolchain.gnu_version()),
          "--display_error_number",
          "--orig_src_file_name",
          file,
          "--orig_src_path_name",
          file,
          "--allow_managed",
          "--extended-lambda",
          "--relaxed_constexpr",
          "--module_id_file_name",
          "module_id",
          "--stub_file_name",
          "stub.c"};
}

Step host_front_end(const BuildContext& context, const std::string& file) {
  Step step{"host_front_end", {context.toolchain.cudafe.string()}, {"host_preprocess"}};
  append(step.arguments, front_end_arguments(context.toolchain, file));
  append(step.arguments,
         {"--m64", "--parse_templates", "--gen_c_file_name", "host.cpp", "host_preprocess.ii"});
  return step;
}

Step device_compile(const BuildContext& context, const CompileRequest& request) {
  Step step{"device_compile", {context.toolchain.cicc.string()}, {"device_preprocess"}};
  append(step.arguments, front_end_arguments(context.toolchain, request.file_name));
  append(step.arguments,
         {"-m64", "-arch", "compute_" + request.arch.substr(3), "--no-version-ident", "-ftz=0",
          "-prec_div=1", "-prec_sqrt=1", "-fmad=1", "--include_file_name", "fatbin.c",
          "-generate-line-info", "-tused", "--gen_c_file_name", "device.c",
          "--gen_device_file_name", "device.gpu", "device_preprocess.ii", "-o", "device.ptx"});
  return step;
}

Step host_compile(const BuildContext& context, const CompileRequest& request) {
  Step step{"host_compile",
            {context.toolchain.host_compiler.string(), "-c", "-x", "c++", "-O1", "-w",
             "-DCUDA_DOUBLE_MATH_FUNCTIONS"},
            {"host_front_end", "device_compile"}};
  append(step.arguments, architecture_macros(request.arch));
  append(step.arguments, {"-std=c++17", "-I" + context.toolchain.include.string(), "-isystem",
                          (context.toolchain.include / "cccl").string(), "-fPIC", "-m64",
                          "host.cpp", "-o", "host.o"});
  return step;
}

std::vector<Step> make_steps(const BuildContext& context, const CompileRequest& request,
                             const Names& names) {
  std::vector<std::string> device_macros = architecture_macros(request.arch);
  std::vector<std::string> host_macros = {device_macros[1]};
  device_macros.push_back("-DCUDA_DOUBLE_MATH_FUNCTIONS");
  std::vector<Step> steps;
  steps.push_back(preprocess(context, "host_preprocess", names.host_source, host_macros));
  steps.push_back(preprocess(context, "device_preprocess", names.source, device_macros));
  steps.push_back(host_front_end(context, request.file_name));
  steps.push_back(device_compile(context, request));
  if (request.want_cubin)
    steps.push_back(
        {"assemble",
         assembler_arguments(context.toolchain, request.arch, "device.ptx", "device.cubin"),
         {"device_compile"}});
  steps.push_back(host_compile(context, request));
  steps.push_back(
      {"link", link_arguments(context.toolchain, "host.o", "launcher.so"), {"host_compile"}});
  return steps;
}

std::string take(StepsOutcome& outcome, const std::string& name) {
  const auto found = outcome.files.find(name);
  return found == outcome.files.end() ? std::string() : std::move(found->second);
}

std::vector<LocatedDiagnostic> collect_diagnostics(const StepsOutcome& outcome,
                                                   const CompileRequest& request) {
  std::vector<LocatedDiagnostic> all;
  for (const char* step :
       {"host_preprocess", "device_preprocess", "host_front_end", "device_compile", "host_compile"})
    merge_diagnostics(all, parse_diagnostics(outcome.printed(step)));
  const auto ptx = outcome.files.find("device.ptx");
  if (ptx != outcome.files.end())
    merge_diagnostics(
        all, parse_ptxas_diagnostics(outcome.printed("assemble"), ptx->second, request.file_name));
  return all;
}

std::optional<CompileFailure> include_failure(const BuildContext& context, StepsOutcome& outcome,
                                              const Names& names,
                                              const std::optional<UnopenedInclude>& unopened) {
  std::optional<std::string> name;
  if (unopened) name = unopened->name;
  for (const char* step : {"host_preprocess", "device_preprocess"})
    if (!name)
      name = forbidden_include(take(outcome, std::string(step) + ".d"),
                               {names.source, names.host_source}, context.toolchain);
  if (!name) return {};
  return CompileFailure{
      CompileFailure::Kind::rejected, "include", include_explanation(*name), {}, {}};
}

CompileFailure failure_of(const StepsOutcome& outcome, const CompileRequest& request,
                          std::vector<LocatedDiagnostic> diagnostics) {
  if (auto entry = entry_failure(request, diagnostics, outcome.log())) return *std::move(entry);
  std::erase_if(diagnostics, [](const auto& item) { return item.file == kEntryFile; });
  const auto linker = parse_diagnostics(outcome.printed("link"));
  if (outcome.succeeded("host_compile") && !outcome.succeeded("link") &&
      (!request.want_cubin || outcome.succeeded("assemble")))
    return link_failure(request, linker, outcome.log());
  merge_diagnostics(diagnostics, linker);
  return failure_from_diagnostics(request, diagnostics, outcome.log());
}

}  // namespace

Result<BuildProduct> build_with_nvcc(const BuildContext& context, const CompileRequest& request) {
  const Names names(request.file_name);
  const std::vector<Step> steps = make_steps(context, request, names);
  const std::string line_one = fmt::format("#line 1 \"{}\"\n", request.file_name);
  ASSIGN_OR_RETURN(
      StepsOutcome outcome,
      run_steps(context, steps,
                {{names.source, request.source + "\n"},
                 {names.host_source, line_one + request.source + "\n" + entry_section(request)},
                 {"fatbin.c", kFatbinSource},
                 {"module_id", kModuleId}},
                {"device.ptx", "device.cubin", "launcher.so", "host_preprocess.d",
                 "device_preprocess.d"}));
  BuildProduct product;
  product.failure = std::move(outcome.failure);
  if (product.failure) return product;
  auto diagnostics = collect_diagnostics(outcome, request);
  const std::optional<UnopenedInclude> unopened = unopened_include(diagnostics);
  // The text of a diagnostic may be the candidate's: only a look at the file decides.
  if (unopened && denied_header(*unopened, context.toolchain) && !readable_by_all(unopened->name))
    return Error{ErrorKind::sandbox, fmt::format("{}: {}; every user must be able to read it",
                                                 unopened->name, unopened->reason)};
  product.failure = include_failure(context, outcome, names, unopened);
  if (product.failure) return product;
  const bool complete = std::all_of(steps.begin(), steps.end(),
                                    [&](const Step& step) { return outcome.succeeded(step.name); });
  if (!complete) {
    if (outcome.log().find("Command-line error") != std::string::npos)
      return Error{ErrorKind::internal, "a compiler refused its options: " + outcome.log()};
    product.failure = failure_of(outcome, request, diagnostics);
    return product;
  }
  product.log = outcome.log();
  product.resource_log = outcome.printed("assemble");
  std::erase_if(diagnostics, [](const auto& item) { return item.file == kEntryFile; });
  product.diagnostics = for_author(diagnostics, request.file_name);
  product.ptx = take(outcome, "device.ptx");
  product.cubin = take(outcome, "device.cubin");
  product.launcher = take(outcome, "launcher.so");
  shorten_file_names(product.ptx, request.file_name);
  return product;
}

}  // namespace assay
