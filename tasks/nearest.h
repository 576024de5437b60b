// "Did you mean ...?": the known word nearest to a misspelt one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

/// Levenshtein's distance: insertions, deletions and replacements of single bytes. Words are cut at
/// 128 bytes.
size_t edit_distance(std::string_view a, std::string_view b);

/// The `count` candidates nearest to `word`, nearest first, without those that share too little
/// with it to be what was meant (more than half of their letters differ).
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates,
                                 size_t count);

/// "; did you mean dtype?" or nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b, c".
std::string listed(const std::vector<std::string>& words);

/// `text` in double quotes for a message: at most 60 bytes, control characters and quotes escaped.
std::string in_quotes(std::string_view text);

/// Whether all of `text` is valid UTF-8 (RFC 3629) without NUL bytes.
bool is_utf8(std::string_view text);

}  // namespace assay
