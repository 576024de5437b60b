// C++ tokens of a candidate's source before preprocessing, as far as splitting it needs them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace assay {

struct Token {
  enum class Kind : uint8_t {
    word,       // identifier or keyword
    literal,    // number, character or string (raw ones included)
    mark,       // one character of punctuation; "::" and "->" are one token
    directive,  // from # to the end of the line, continuation lines included
  } kind = Kind::mark;
  uint32_t begin = 0;  // byte offset in the source
  uint32_t end = 0;
};

struct TokenizedSource {
  std::string_view text;
  std::vector<Token> tokens;

  std::string_view at(size_t index) const {
    if (index >= tokens.size()) return {};
    return text.substr(tokens[index].begin, tokens[index].end - tokens[index].begin);
  }
  bool is_word(size_t index) const {
    return index < tokens.size() && tokens[index].kind == Token::Kind::word;
  }
  bool is_directive(size_t index) const {
    return index < tokens.size() && tokens[index].kind == Token::Kind::directive;
  }
  /// Tokens `index` and the next two are the same character without a gap: <<< or >>>.
  bool triple(size_t index, char character) const;
};

/// nullopt for text that needs a full preprocessor to be cut into tokens: a line continued inside
/// a token, an open comment or string.
std::optional<TokenizedSource> tokenize(std::string_view source);

}  // namespace assay
