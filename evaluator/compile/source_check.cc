#include "evaluator/compile/source_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace assay {
namespace {

/// Bytes of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7); 0: none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t index) {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0u;
  };
  const auto continues = [&](size_t index) { return (byte(index) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
    return continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
    return continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

CompileFailure refusal(CompileFailure::Kind kind, const char* reason, std::string explanation) {
  return {kind, reason, std::move(explanation), {}, {}};
}

}  // namespace

std::optional<CompileFailure> check_source(std::string_view source) {
  using Kind = CompileFailure::Kind;
  if (source.size() > kMaximumSourceBytes)
    return refusal(Kind::rejected, "too_large",
                   fmt::format("the source has {} bytes; at most {} are accepted", source.size(),
                               kMaximumSourceBytes));
  for (size_t at = 0; at < source.size();) {
    const size_t length = sequence_length(source.substr(at));
    if (length == 0)
      return refusal(Kind::rejected, "not_utf8",
                     fmt::format("the source is not UTF-8 text: byte {} on line {}", at,
                                 1 + std::count(source.begin(), source.begin() + at, '\n')));
    at += length;
  }
  if (source.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos)
    return refusal(Kind::no_code, "empty", "the source is empty");
  return {};
}

}  // namespace assay
