#include "base/demangle.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace assay {

namespace {

constexpr size_t kMaximumSymbol = 1000;
constexpr size_t kMaximumText = 2000;
/// Each substitution can at most double the text.
constexpr long kMaximumSubstitutions = 20;

}  // namespace

std::string demangled_name(const std::string& symbol) {
  const long substitutions =
      std::count(symbol.begin(), symbol.end(), 'S') + std::count(symbol.begin(), symbol.end(), 'T');
  if (!symbol.starts_with("_Z") || symbol.size() > kMaximumSymbol ||
      substitutions > kMaximumSubstitutions)
    return symbol;
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0 || !text) return symbol;
  std::string name(text.get());
  return name.size() > kMaximumText ? symbol : name;
}

}  // namespace assay
