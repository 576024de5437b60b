// Fuzzes what compilers print and write about a candidate's source: diagnostics, dependencies,
// PTX headers, assembly, resource usage. With NULs the input has several parts.
#include <string>
#include <string_view>
#include <vector>

#include "evaluator/compile/diagnostics.h"
#include "evaluator/compile/includes.h"
#include "evaluator/compile/ptx_header.h"
#include "evaluator/compile/ptx_names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t cut = text.find('\0');
  const std::string_view first = text.substr(0, cut);
  const std::string_view second = cut == text.npos ? text : text.substr(cut + 1);

  std::vector<assay::LocatedDiagnostic> found = assay::parse_diagnostics(first);
  if (found.size() > 200) __builtin_trap();
  assay::merge_diagnostics(found, assay::parse_ptxas_diagnostics(first, second, "candidate.cu"));
  (void)assay::summary(assay::for_author(found, "candidate.cu"), "candidate.cu");
  (void)assay::unopened_include(found);

  auto header = assay::parse_ptx_header(second);
  if (!header.ok() && header.error().message.empty()) __builtin_trap();
  if (header.ok()) assay::add_resource_usage(first, header->kernels);
  const assay::HostSymbols symbols = assay::read_host_symbols(first);
  (void)assay::instantiations(symbols.kernels);
  (void)assay::match_symbols(second, symbols);
  return 0;
}
