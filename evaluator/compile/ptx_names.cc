#include "evaluator/compile/ptx_names.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <unordered_map>

#include "base/demangle.h"
#include "evaluator/compile/ptx_header.h"

namespace assay {
namespace {

/// NVIDIA's compilers put variables of internal linkage into a namespace _INTERNAL_<module>, which
/// stands in the symbol behind its length: "39_INTERNAL_...". What the source says is without it.
std::string meaning_of(std::string symbol) {
  const size_t at = symbol.find("_INTERNAL_");
  if (at != std::string::npos) {
    size_t digits = at;
    while (digits > 0 && std::isdigit(static_cast<unsigned char>(symbol[digits - 1]))) --digits;
    size_t length = 0;
    for (size_t i = digits; i < at && length < symbol.size(); ++i)
      length = length * 10 + static_cast<size_t>(symbol[i] - '0');
    if (digits < at && length <= symbol.size() - at) symbol.erase(digits, at - digits + length);
  }
  return demangled_name(symbol);
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

bool in_symbol(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$';
}

/// Calls `visit` with each symbol-like word of `text` and with the text between words.
template <typename Word, typename Between>
void walk(std::string_view text, Word word, Between between) {
  size_t position = 0;
  while (position < text.size()) {
    const size_t begin = position;
    if (in_symbol(text[position])) {
      while (position < text.size() && in_symbol(text[position])) ++position;
      word(text.substr(begin, position - begin));
    } else {
      while (position < text.size() && !in_symbol(text[position])) ++position;
      between(text.substr(begin, position - begin));
    }
  }
}

/// One-line variables of `names` that occur nowhere else are cut out, repeatedly not needed: the
/// headers' constants do not refer to each other.
std::string drop_unused(std::string_view ptx, const std::set<std::string_view>& names) {
  std::unordered_map<std::string_view, int> uses;
  for (const std::string_view name : names) uses.emplace(name, 0);
  walk(
      ptx,
      [&](std::string_view word) {
        if (const auto found = uses.find(word); found != uses.end()) ++found->second;
      },
      [](std::string_view) {});
  std::string kept;
  kept.reserve(ptx.size());
  while (!ptx.empty()) {
    const std::string_view line = take_line(ptx);
    bool drop = false;
    if ((line.starts_with(".global") || line.starts_with(".const")) && line.ends_with(';')) {
      walk(
          line.substr(0, line.find('=')),
          [&](std::string_view word) {
            const auto found = uses.find(word);
            drop |= found != uses.end() && found->second == 1;
          },
          [](std::string_view) {});
    }
    if (!drop) kept.append(line).append("\n");
  }
  return kept;
}

/// Pairs each wanted symbol with the present one that means the same.
Result<void> pair_symbols(const std::vector<std::string>& wanted,
                          const std::set<std::string>& present,
                          std::map<std::string, std::string, std::less<>>& renames,
                          std::set<std::string>& matched) {
  std::map<std::string, std::string> by_meaning;
  for (const std::string& symbol : present) by_meaning.emplace(meaning_of(symbol), symbol);
  for (const std::string& symbol : wanted) {
    if (present.contains(symbol)) {
      matched.insert(symbol);
      continue;
    }
    const auto found = by_meaning.find(meaning_of(symbol));
    if (found == by_meaning.end())
      return Error{ErrorKind::not_found, "no device code for " + symbol};
    renames[found->second] = symbol;
    matched.insert(found->second);
  }
  return {};
}

}  // namespace

HostSymbols read_host_symbols(std::string_view assembly) {
  constexpr std::string_view kKernel = "#assay-kernel ";
  constexpr std::string_view kVariable = "#assay-variable ";
  HostSymbols symbols;
  while (!assembly.empty()) {
    const std::string_view line = take_line(assembly);
    if (const size_t at = line.find(kKernel); at != std::string_view::npos)
      symbols.kernels.emplace_back(line.substr(at + kKernel.size()));
    else if (const size_t place = line.find(kVariable); place != std::string_view::npos)
      symbols.variables.emplace_back(line.substr(place + kVariable.size()));
  }
  return symbols;
}

std::vector<std::string> instantiations(const std::vector<std::string>& kernels) {
  constexpr std::string_view kAnonymous = "(anonymous namespace)::";
  std::vector<std::string> expressions;
  for (const std::string& symbol : kernels) {
    std::string name = demangled_name(symbol);
    if (name == symbol || name.find('<') == std::string::npos) continue;
    for (size_t at = name.find(kAnonymous); at != std::string::npos; at = name.find(kAnonymous))
      name.erase(at, kAnonymous.size());
    int depth = 0;
    size_t end = 0;
    for (; end < name.size(); ++end) {
      if (name[end] == '<') ++depth;
      if (name[end] == '>') --depth;
      if (name[end] == '(' && depth == 0) break;
    }
    name.resize(end);
    if (name.starts_with("void ")) name.erase(0, 5);
    expressions.push_back(std::move(name));
  }
  return expressions;
}

Result<std::string> match_symbols(std::string_view ptx, const HostSymbols& host) {
  ASSIGN_OR_RETURN(const PtxHeader header, parse_ptx_header(ptx));
  std::set<std::string> kernels;
  std::set<std::string> variables;
  for (const Kernel& kernel : header.kernels) kernels.insert(kernel.name);
  for (const ModuleVariable& variable : header.variables) variables.insert(variable.name);
  std::map<std::string, std::string, std::less<>> renames;
  std::set<std::string> matched;
  RETURN_IF_ERROR(pair_symbols(host.kernels, kernels, renames, matched));
  RETURN_IF_ERROR(pair_symbols(host.variables, variables, renames, matched));
  for (const std::string& kernel : kernels)
    if (!matched.contains(kernel))
      return Error{ErrorKind::not_found, "no host function for the kernel " + kernel};
  std::set<std::string_view> droppable;
  for (const std::string& variable : variables)
    if (!matched.contains(variable)) droppable.insert(variable);
  const std::string kept = drop_unused(ptx, droppable);
  if (renames.empty()) return kept;
  // A kernel's parameters and local variables carry its symbol within their names.
  std::string renamed;
  renamed.reserve(kept.size());
  walk(
      kept,
      [&](std::string_view word) {
        std::string_view prefix = word;
        const size_t parameter = word.rfind("_param_");
        if (parameter != std::string_view::npos) prefix = word.substr(0, parameter);
        const auto found = renames.find(prefix);
        if (found == renames.end()) {
          renamed += word;
        } else {
          renamed += found->second;
          renamed += word.substr(prefix.size());
        }
      },
      [&](std::string_view text) { renamed += text; });
  return renamed;
}

}  // namespace assay
