#include "evaluator/language.h"

#include <algorithm>
#include <array>

namespace assay {

namespace {

struct Row {
  std::string_view name;
  std::string_view title;
  std::string_view fence;
  std::string_view file_ending;
};

const Row& row(Language language) {
  static constexpr Row kCuda = {"cuda", "CUDA C++", "cuda", ".cu"};
  static constexpr Row kTriton = {"triton", "Triton", "python", ".py"};
  return language == Language::triton ? kTriton : kCuda;
}

}  // namespace

std::string_view name(Language language) { return row(language).name; }
std::string_view title(Language language) { return row(language).title; }
std::string_view fence(Language language) { return row(language).fence; }
std::string_view file_ending(Language language) { return row(language).file_ending; }

std::optional<Language> language_from_name(std::string_view name) {
  for (const Language language : kLanguages)
    if (name == assay::name(language)) return language;
  return std::nullopt;
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
