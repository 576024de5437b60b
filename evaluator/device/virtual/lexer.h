// The tokens of PTX text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace assay::virtual_gpu {

struct Token {
  enum class Kind : uint8_t {
    end,
    word,    // opcodes, registers, directives and names, dots and double colons included
    number,  // as written: 12, 0x1F, 0f3F800000, 1.5
    string,  // without its quotes
    mark,    // one character of punctuation
  };
  Kind kind = Kind::end;
  std::string_view text;
  uint32_t line = 0;  // of the PTX text, from 1

  bool is(char mark) const { return kind == Kind::mark && text[0] == mark; }
  bool is(std::string_view word) const { return kind == Kind::word && text == word; }
};

/// Splits text into tokens, one ahead of the reader. Views point into the text.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { advance(); }

  const Token& peek() const { return next_; }
  Token take() {
    const Token token = next_;
    advance();
    return token;
  }
  bool take_if(char mark) {
    if (!next_.is(mark)) return false;
    advance();
    return true;
  }
  /// Skips the rest of the current line (directives without a terminator, such as .loc).
  void skip_line();

 private:
  void advance();
  void skip_blank();

  std::string_view text_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  Token next_;
};

}  // namespace assay::virtual_gpu
