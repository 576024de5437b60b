// In what a candidate is written.
#pragma once

#include <string_view>

namespace assay {

enum class Language {
  cuda,    // CUDA C++, compiled once
  triton,  // a Python program with Triton kernels, compiled while it is recorded
};

std::string_view name(Language language);

/// Told by the code itself, wherever it came from: a line that begins with a Python import of
/// Triton or torch, with a decorator of Triton's or with `def solve(` is none of C++.
Language language_of(std::string_view code);

}  // namespace assay
