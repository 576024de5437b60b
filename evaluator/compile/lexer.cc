#include "evaluator/compile/lexer.h"

#include <algorithm>
#include <string>

namespace assay {
namespace {

bool starts_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { result_.text = text; }

  std::optional<TokenizedSource> run() {
    while (skip_blank() && position_ < text_.size()) {
      const size_t begin = position_;
      Token::Kind kind = Token::Kind::mark;
      if (!read_token(kind)) return {};
      result_.tokens.push_back(
          {kind, static_cast<uint32_t>(begin), static_cast<uint32_t>(position_)});
      line_start_ = false;
    }
    if (failed_) return {};
    return std::move(result_);
  }

 private:
  char peek(size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }

  /// Skips white space and comments; false: an open comment or a continued line outside a
  /// directive.
  bool skip_blank() {
    while (position_ < text_.size()) {
      const char c = peek();
      if (c == '\n') {
        line_start_ = true;
        ++position_;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f') {
        ++position_;
      } else if (c == '/' && peek(1) == '/') {
        position_ = std::min(text_.find('\n', position_), text_.size());
        if (text_[position_ - 1] == '\\') return fail();
      } else if (c == '/' && peek(1) == '*') {
        const size_t end = text_.find("*/", position_ + 2);
        if (end == std::string_view::npos) return fail();
        position_ = end + 2;
      } else {
        return true;
      }
    }
    return true;
  }

  bool fail() {
    failed_ = true;
    return false;
  }

  bool read_token(Token::Kind& kind) {
    const char c = peek();
    if (c == '\\') return fail();
    if (c == '#') {
      kind = Token::Kind::directive;
      return line_start_ ? read_directive() : fail();
    }
    if (starts_word(c)) return read_word(kind);
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      kind = Token::Kind::literal;
      read_number();
      return true;
    }
    if (c == '"' || c == '\'') {
      kind = Token::Kind::literal;
      return read_quoted(c);
    }
    position_ += (c == ':' && peek(1) == ':') || (c == '-' && peek(1) == '>') ? 2 : 1;
    return true;
  }

  bool read_directive() {
    while (position_ < text_.size() && peek() != '\n') {
      if (peek() == '/' && peek(1) == '*') {
        const size_t close = text_.find("*/", position_ + 2);
        if (close == std::string_view::npos || close > text_.find('\n', position_)) return fail();
        position_ = close + 2;
      } else if (peek() == '/' && peek(1) == '/') {
        position_ = std::min(text_.find('\n', position_), text_.size());
        return text_[position_ - 1] == '\\' ? fail() : true;
      } else if (peek() == '\\' && (peek(1) == '\n' || (peek(1) == '\r' && peek(2) == '\n'))) {
        position_ += peek(1) == '\n' ? 2 : 3;
      } else {
        ++position_;
      }
    }
    return true;
  }

  bool read_word(Token::Kind& kind) {
    const size_t begin = position_;
    while (starts_word(peek()) || is_digit(peek())) {
      if (position_ >= text_.size()) break;
      ++position_;
    }
    const std::string_view word = text_.substr(begin, position_ - begin);
    kind = Token::Kind::word;
    if (peek() != '"' && peek() != '\'') return true;
    const bool raw = word == "R" || word == "LR" || word == "uR" || word == "UR" || word == "u8R";
    const bool prefix = word == "L" || word == "u" || word == "U" || word == "u8";
    if (!raw && !prefix) return true;
    kind = Token::Kind::literal;
    return raw && peek() == '"' ? read_raw() : read_quoted(peek());
  }

  void read_number() {
    for (;; ++position_) {
      const char c = peek();
      const char previous = position_ > 0 ? text_[position_ - 1] : '\0';
      const bool exponent =
          previous == 'e' || previous == 'E' || previous == 'p' || previous == 'P';
      if (position_ < text_.size() && (starts_word(c) || is_digit(c) || c == '.')) continue;
      if (c == '\'' && (starts_word(peek(1)) || is_digit(peek(1)))) continue;
      if ((c == '+' || c == '-') && exponent) continue;
      return;
    }
  }

  bool read_quoted(char quote) {
    for (++position_; position_ < text_.size() && peek() != '\n'; ++position_) {
      if (peek() == '\\') {
        if (peek(1) == '\n' || peek(1) == '\r') return fail();
        ++position_;
      } else if (peek() == quote) {
        ++position_;
        return true;
      }
    }
    return fail();
  }

  bool read_raw() {
    const size_t open = text_.find('(', position_);
    if (open == std::string_view::npos || open - position_ > 17) return fail();
    const std::string close =
        ")" + std::string(text_.substr(position_ + 1, open - position_ - 1)) + "\"";
    const size_t end = text_.find(close, open);
    if (end == std::string_view::npos) return fail();
    position_ = end + close.size();
    return true;
  }

  std::string_view text_;
  size_t position_ = 0;
  bool line_start_ = true;
  bool failed_ = false;
  TokenizedSource result_;
};

}  // namespace

bool TokenizedSource::triple(size_t index, char character) const {
  if (index + 2 >= tokens.size()) return false;
  for (size_t i = 0; i < 3; ++i)
    if (tokens[index + i].begin != tokens[index].begin + i ||
        tokens[index + i].kind != Token::Kind::mark || at(index + i)[0] != character)
      return false;
  return true;
}

std::optional<TokenizedSource> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace assay
