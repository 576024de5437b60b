#include "evaluator/language.h"

#include <algorithm>
#include <array>

namespace assay {

std::string_view name(Language language) {
  return language == Language::triton ? "triton" : "cuda";
}

Language language_of(std::string_view code) {
  constexpr std::array<std::string_view, 6> kPython = {
      "import triton", "from triton", "import torch", "from torch", "@triton.", "def solve("};
  for (size_t at = 0; at < code.size();) {
    const std::string_view line = code.substr(at, code.find('\n', at) - at);
    if (std::ranges::any_of(kPython, [&](auto start) { return line.starts_with(start); }))
      return Language::triton;
    at += line.size() + 1;
  }
  return Language::cuda;
}

}  // namespace assay
