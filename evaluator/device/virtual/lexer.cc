#include "evaluator/device/virtual/lexer.h"

namespace assay::virtual_gpu {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

}  // namespace

void Lexer::skip_blank() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') {
      ++line_;
      ++at_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\0') {
      ++at_;
    } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '/') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '*') {
      at_ += 2;
      while (at_ < text_.size() &&
             !(text_[at_] == '*' && at_ + 1 < text_.size() && text_[at_ + 1] == '/')) {
        if (text_[at_] == '\n') ++line_;
        ++at_;
      }
      at_ = at_ + 2 < text_.size() ? at_ + 2 : text_.size();
    } else {
      return;
    }
  }
}

void Lexer::advance() {
  skip_blank();
  next_ = Token{Token::Kind::end, {}, line_};
  if (at_ >= text_.size()) return;
  const size_t begin = at_;
  const char first = text_[at_];
  if (is_digit(first)) {
    next_.kind = Token::Kind::number;
    while (at_ < text_.size() &&
           (is_digit(text_[at_]) || is_letter(text_[at_]) || text_[at_] == '.')) {
      ++at_;
    }
  } else if (is_letter(first) || first == '.') {
    next_.kind = Token::Kind::word;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      // Directives may stand close together: ".reg.b16".
      const bool dot = c == '.' && (first != '.' || at_ == begin);
      if (is_letter(c) || is_digit(c) || dot) {
        ++at_;
      } else if (c == ':' && at_ + 2 < text_.size() && text_[at_ + 1] == ':' &&
                 (is_letter(text_[at_ + 2]) || is_digit(text_[at_ + 2]))) {
        at_ += 2;
      } else {
        break;
      }
    }
  } else if (first == '"') {
    next_.kind = Token::Kind::string;
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
      at_ += text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n' ? 2 : 1;
    }
    next_.text = text_.substr(begin + 1, at_ - begin - 1);
    if (at_ < text_.size() && text_[at_] == '"') ++at_;
    return;
  } else {
    next_.kind = Token::Kind::mark;
    ++at_;
  }
  next_.text = text_.substr(begin, at_ - begin);
}

void Lexer::skip_line() {
  const uint32_t line = next_.line;
  while (next_.kind != Token::Kind::end && next_.line == line) advance();
}

}  // namespace assay::virtual_gpu
