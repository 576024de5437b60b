#include "evaluator/compile/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace assay {
namespace {

using Severity = Diagnostic::Severity;

constexpr size_t kMaximumDiagnostics = 200;
constexpr size_t kMaximumMessage = 1000;

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

/// "error: ...", "warning #177-D: ...", "catastrophic error: ..."; the message after the colon.
struct Tail {
  Severity severity;
  std::string_view message;
};
std::optional<Tail> parse_tail(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  static constexpr std::pair<std::string_view, Severity> kWords[] = {
      {"catastrophic error", Severity::error},
      {"fatal error", Severity::error},
      {"internal error", Severity::error},
      {"error", Severity::error},
      {"warning", Severity::warning},
      {"remark", Severity::note},
      {"note", Severity::note}};
  for (const auto& [word, severity] : kWords) {
    if (!text.starts_with(word)) continue;
    std::string_view rest = text.substr(word.size());
    if (rest.starts_with(" #")) rest = rest.substr(std::min(rest.find(':'), rest.size()));
    if (!rest.starts_with(':')) return {};
    rest.remove_prefix(1);
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    return Tail{severity, rest};
  }
  return {};
}

LocatedDiagnostic located(std::string_view file, uint32_t line, uint32_t column, const Tail& tail) {
  return {{tail.severity, line, column, std::string(tail.message.substr(0, kMaximumMessage))},
          std::string(file)};
}

/// "x.cu(3): error: ..." of NVIDIA's front ends.
std::optional<LocatedDiagnostic> parse_edg(std::string_view line) {
  const size_t close = line.find("): ");
  if (close == std::string_view::npos) return {};
  const size_t open = line.rfind('(', close);
  if (open == std::string_view::npos || open == 0) return {};
  const auto row = number(line.substr(open + 1, close - open - 1));
  const auto tail = parse_tail(line.substr(close + 3));
  if (!row || !tail) return {};
  return located(line.substr(0, open), *row, 0, *tail);
}

/// "x.cu:3:7: error: ..." of g++; "x.cu:3: error" has no column.
std::optional<LocatedDiagnostic> parse_gcc(std::string_view line) {
  for (size_t colon = line.find(": "); colon != std::string_view::npos;
       colon = line.find(": ", colon + 1)) {
    const auto tail = parse_tail(line.substr(colon + 2));
    if (!tail) continue;
    std::string_view place = line.substr(0, colon);
    uint32_t numbers[2] = {0, 0};
    int count = 0;
    while (count < 2) {
      const size_t at = place.rfind(':');
      if (at == std::string_view::npos) break;
      const auto value = number(place.substr(at + 1));
      if (!value) break;
      numbers[count++] = *value;
      place = place.substr(0, at);
    }
    if (count == 0) return {};
    return count == 2 ? located(place, numbers[1], numbers[0], *tail)
                      : located(place, numbers[0], 0, *tail);
  }
  return {};
}

/// "At end of source: error: expected a }".
std::optional<LocatedDiagnostic> parse_end_of_source(std::string_view line) {
  constexpr std::string_view kPrefix = "At end of source: ";
  if (!line.starts_with(kPrefix)) return {};
  const auto tail = parse_tail(line.substr(kPrefix.size()));
  if (!tail) return {};
  LocatedDiagnostic found = located("", 0, 0, *tail);
  found.diagnostic.message += " at the end of the source";
  return found;
}

std::optional<LocatedDiagnostic> parse_linker(std::string_view line) {
  constexpr std::string_view kUndefined = "undefined reference to `";
  const size_t at = line.find(kUndefined);
  if (at == std::string_view::npos) return {};
  std::string_view symbol = line.substr(at + kUndefined.size());
  symbol = symbol.substr(0, symbol.find('\''));
  return located(
      "", 0, 0, {Severity::error, fmt::format("undefined reference to {}", symbol.substr(0, 300))});
}

/// Lines under an EDG diagnostic: a longer message is indented by 10 and more, then the source line
/// indented by 2, then a caret line that tells the column.
void add_continuation(std::string_view line, LocatedDiagnostic& last) {
  const size_t text = line.find_first_not_of(' ');
  if (text == std::string_view::npos) return;
  Diagnostic& diagnostic = last.diagnostic;
  if (line.substr(text) == "^") {
    if (diagnostic.column == 0 && text >= 2) diagnostic.column = static_cast<uint32_t>(text - 1);
  } else if (text >= 10 && diagnostic.column == 0 &&
             line.substr(text).find_first_of(";{}") == std::string_view::npos &&
             diagnostic.message.size() + line.size() < kMaximumMessage) {
    diagnostic.message += " " + std::string(line.substr(text));
  }
}

bool same(const LocatedDiagnostic& a, const LocatedDiagnostic& b) {
  return a.diagnostic.severity == b.diagnostic.severity && a.diagnostic.line == b.diagnostic.line &&
         a.file == b.file && a.diagnostic.message == b.diagnostic.message;
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// The line of the candidate's file that the PTX line belongs to: the last .loc above it; 0: none.
uint32_t source_line(std::string_view ptx, uint32_t ptx_line) {
  uint32_t found = 0;
  for (uint32_t row = 1; row <= ptx_line && !ptx.empty(); ++row) {
    std::string_view line = take_line(ptx);
    const size_t at = line.find(".loc");
    if (at == std::string_view::npos) continue;
    line = line.substr(at + 4);
    unsigned file = 0, value = 0;
    if (std::sscanf(std::string(line.substr(0, 60)).c_str(), "%u %u", &file, &value) == 2)
      found = value;
  }
  return found;
}

}  // namespace

std::vector<LocatedDiagnostic> parse_diagnostics(std::string_view text) {
  std::vector<LocatedDiagnostic> all;
  bool open = false;  // the lines that follow may belong to the last diagnostic
  while (!text.empty() && all.size() < kMaximumDiagnostics) {
    const std::string_view line = take_line(text);
    auto found = parse_edg(line);
    const bool edg = found.has_value();
    if (!found) found = parse_gcc(line);
    if (!found) found = parse_end_of_source(line);
    if (!found) found = parse_linker(line);
    if (found) {
      all.push_back(*std::move(found));
      open = edg;
    } else if (open) {
      if (line.empty())
        open = false;
      else
        add_continuation(line, all.back());
    }
  }
  std::vector<LocatedDiagnostic> unique;
  merge_diagnostics(unique, all);
  return unique;
}

std::vector<LocatedDiagnostic> parse_ptxas_diagnostics(std::string_view text, std::string_view ptx,
                                                       const std::string& file) {
  std::vector<LocatedDiagnostic> all;
  while (!text.empty() && all.size() < kMaximumDiagnostics) {
    const std::string_view line = take_line(text);
    Severity severity = Severity::error;
    size_t at = line.find("error");
    if (at == std::string_view::npos) at = line.find("fatal");
    if (at == std::string_view::npos) {
      at = line.find("warning");
      severity = Severity::warning;
    }
    if (!line.starts_with("ptxas") || at == std::string_view::npos) continue;
    const size_t colon = line.find(": ", at);
    if (colon == std::string_view::npos) continue;
    uint32_t row = 0;
    if (const size_t word = line.find(", line "); word < at)
      row = source_line(ptx, number(line.substr(word + 7, line.find(';') - word - 7)).value_or(0));
    const std::string message = "ptxas: " + std::string(line.substr(colon + 2));
    if (message.find("Ptx assembly aborted") == std::string::npos)
      all.push_back(located(file, row, 0, {severity, message}));
  }
  std::vector<LocatedDiagnostic> unique;
  merge_diagnostics(unique, all);
  return unique;
}

void merge_diagnostics(std::vector<LocatedDiagnostic>& all,
                       const std::vector<LocatedDiagnostic>& more) {
  for (const LocatedDiagnostic& item : more)
    if (std::none_of(all.begin(), all.end(),
                     [&](const LocatedDiagnostic& other) { return same(item, other); }) &&
        all.size() < kMaximumDiagnostics)
      all.push_back(item);
}

std::vector<Diagnostic> for_author(const std::vector<LocatedDiagnostic>& located,
                                   std::string_view file) {
  std::vector<Diagnostic> diagnostics;
  for (LocatedDiagnostic item : located) {
    if (base_name(item.file) != file) {
      if (!item.file.empty())
        item.diagnostic.message = fmt::format("{}({}): {}", base_name(item.file),
                                              item.diagnostic.line, item.diagnostic.message);
      item.diagnostic.line = item.diagnostic.column = 0;
    }
    diagnostics.push_back(std::move(item.diagnostic));
  }
  return diagnostics;
}

std::string summary(const std::vector<Diagnostic>& diagnostics, std::string_view file) {
  constexpr size_t kShown = 5;
  std::string text;
  size_t errors = 0;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (diagnostic.severity != Severity::error) continue;
    if (++errors > kShown) continue;
    if (!text.empty()) text += '\n';
    if (diagnostic.line > 0)
      text += fmt::format("{}({}): error: {}", file, diagnostic.line, diagnostic.message);
    else
      text += fmt::format("error: {}", diagnostic.message);
  }
  if (errors > kShown) text += fmt::format("\n({} more errors)", errors - kShown);
  return text;
}

}  // namespace assay
