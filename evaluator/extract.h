// Takes the code out of a model's answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "evaluator/language.h"

namespace assay {

/// What was taken. `code` is a verbatim part of the answer, never rewritten; empty when there was
/// none, and then `explanation` says why.
struct Extraction {
  std::string code;
  size_t offset = 0;  // where code starts in the answer
  std::string how;    // "whole_answer", "fenced_block", "unterminated_block", "none"
  std::string explanation;
};

/// The rule: text between <think> or <thinking> tags is ignored. Of the fenced blocks, the last one
/// that contains `marker` ("solve") is taken, else the last one labelled cuda, cu, cpp, c++, c,
/// python, py or triton, else the last one. Where a language is wanted, blocks in it go before the
/// others at each of these steps: blocks whose code is in it and whose label names no other one. An
/// answer without fences is taken whole when it contains `marker` and looks like code (starts with
/// #, //, /*, @, an import, a docstring or a declaration), otherwise there is no code.
Extraction extract_code(std::string_view answer, std::optional<Language> wanted = {},
                        std::string_view marker = "solve");

}  // namespace assay
