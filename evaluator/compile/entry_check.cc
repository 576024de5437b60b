#include "evaluator/compile/entry_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace assay {
namespace {

std::string expected_signature(const CompileRequest& request) {
  const std::string_view expects = kExpects;
  if (!request.entry.starts_with(expects)) return {};
  return request.entry.substr(expects.size(), request.entry.find('\n') - expects.size());
}

std::string define_this(const CompileRequest& request) {
  const std::string signature = expected_signature(request);
  return signature.empty() ? std::string() : fmt::format("; define {}", signature);
}

CompileFailure no_solve(const CompileRequest& request, std::string log) {
  return {CompileFailure::Kind::compile_error,
          "no_solve",
          "the source defines no function solve at global scope" + define_this(request),
          {},
          std::move(log)};
}

/// Libraries whose symbols candidates try to call, by the prefix of the symbol.
std::optional<std::string_view> library_of(std::string_view symbol) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kLibraries = {
      {{"cublas", "cuBLAS"},
       {"cudnn", "cuDNN"},
       {"cufft", "cuFFT"},
       {"curand", "cuRAND"},
       {"cusparse", "cuSPARSE"},
       {"cusolver", "cuSOLVER"},
       {"cutensor", "cuTENSOR"},
       {"nccl", "NCCL"},
       {"npp", "NPP"},
       {"nvrtc", "NVRTC"},
       {"nvml", "NVML"},
       {"nvJitLink", "nvJitLink"},
       {"cupti", "CUPTI"},
       {"cu", "the CUDA driver API"}}};
  for (const auto& [prefix, name] : kLibraries)
    if (symbol.starts_with(prefix)) return name;
  return {};
}

}  // namespace

std::string entry_section(const CompileRequest& request) {
  if (request.entry.empty()) return {};
  return fmt::format("\n#line 1 \"{}\"\n{}\n", kEntryFile, request.entry);
}

std::optional<CompileFailure> entry_failure(const CompileRequest& request,
                                            const std::vector<LocatedDiagnostic>& diagnostics,
                                            std::string log) {
  bool any = false;
  bool undefined = false;
  std::string message;
  for (const LocatedDiagnostic& item : diagnostics) {
    if (item.diagnostic.severity != Diagnostic::Severity::error) continue;
    if (item.file != kEntryFile) return {};
    any = true;
    if (message.empty()) message = item.diagnostic.message;
    undefined |= item.diagnostic.message.find("\"solve\" is undefined") != std::string::npos;
  }
  if (!any) return {};
  if (undefined) return no_solve(request, std::move(log));
  return CompileFailure{CompileFailure::Kind::compile_error,
                        "wrong_signature",
                        fmt::format("solve cannot be called with the task's arguments ({}){}",
                                    message, define_this(request)),
                        {},
                        std::move(log)};
}

CompileFailure link_failure(const CompileRequest& request,
                            const std::vector<LocatedDiagnostic>& diagnostics, std::string log) {
  std::vector<std::string> symbols;
  for (const LocatedDiagnostic& item : diagnostics) {
    constexpr std::string_view kPrefix = "undefined reference to ";
    if (!item.diagnostic.message.starts_with(kPrefix)) continue;
    std::string symbol = item.diagnostic.message.substr(kPrefix.size());
    if (symbol == "solve" || symbol.starts_with("solve(")) return no_solve(request, std::move(log));
    if (std::find(symbols.begin(), symbols.end(), symbol) == symbols.end())
      symbols.push_back(std::move(symbol));
  }
  CompileFailure failure{CompileFailure::Kind::compile_error, "link", {}, {}, std::move(log)};
  if (symbols.empty()) {
    failure.explanation = "linking failed: " + failure.log.substr(0, 1000);
    return failure;
  }
  constexpr size_t kShown = 5;
  std::string list;
  for (size_t i = 0; i < std::min(symbols.size(), kShown); ++i)
    list += (i ? ", " : "") + symbols[i];
  if (symbols.size() > kShown) list += fmt::format(" and {} more", symbols.size() - kShown);
  failure.explanation = fmt::format("the candidate calls what it does not define: {}", list);
  if (const auto library = library_of(symbols.front()))
    failure.explanation += fmt::format(
        ". These belong to {}: libraries are not available to candidates, only the CUDA runtime "
        "API and the C and C++ standard library",
        *library);
  return failure;
}

}  // namespace assay
