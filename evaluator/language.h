// In what a candidate is written.
#pragma once

#include <optional>
#include <string_view>

namespace assay {

enum class Language {
  cuda,    // CUDA C++, compiled once
  triton,  // a Python program with Triton kernels, compiled while it is recorded
};
inline constexpr Language kLanguages[] = {Language::cuda, Language::triton};

/// As options, stores and protocols spell it: "cuda", "triton".
std::string_view name(Language language);
std::optional<Language> language_from_name(std::string_view name);

/// For people: "CUDA C++", "Triton".
std::string_view title(Language language);

/// What a code block of it is labelled with in an answer: "cuda", "python".
std::string_view fence(Language language);

/// Of its files: ".cu", ".py".
std::string_view file_ending(Language language);

/// Told by the code itself, wherever it came from: a line that begins with a Python import of
/// Triton or torch, with a decorator of Triton's or with `def solve(` is none of C++.
Language language_of(std::string_view code);

}  // namespace assay
