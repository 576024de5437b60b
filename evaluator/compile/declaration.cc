#include "evaluator/compile/declaration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace assay {
namespace {

bool contains(const std::set<std::string_view>& set, std::string_view word) {
  return set.contains(word);
}

/// The closing bracket for the opening one at `open`. Conditional directives inside must close
/// inside, and nothing may be included.
std::optional<size_t> matching(const TokenizedSource& source, size_t open) {
  std::string expected;
  int conditions = 0;
  for (size_t i = open; i < source.tokens.size(); ++i) {
    if (source.is_directive(i)) {
      const std::string_view name = read_directive(source.at(i)).name;
      if (name == "include") return {};
      if (name.starts_with("if")) ++conditions;
      if (name == "endif" && --conditions < 0) return {};
      if (name.starts_with("el") && conditions == 0) return {};
      continue;
    }
    if (source.tokens[i].kind != Token::Kind::mark) continue;
    switch (source.at(i)[0]) {
      case '(':
        expected += ')';
        break;
      case '[':
        expected += ']';
        break;
      case '{':
        expected += '}';
        break;
      case ')':
      case ']':
      case '}':
        if (expected.empty() || expected.back() != source.at(i)[0]) return {};
        expected.pop_back();
        if (expected.empty()) {
          if (conditions != 0) return {};
          return i;
        }
        break;
      default:
        break;
    }
  }
  return {};
}

/// The `>` for the `<` at `open`, if it can be a template's bracket.
std::optional<size_t> matching_angle(const TokenizedSource& source, size_t open) {
  int depth = 0;
  for (size_t i = open; i < source.tokens.size(); ++i) {
    if (source.is_directive(i)) return {};
    const std::string_view token = source.at(i);
    if (token == "(" || token == "[" || token == "{") {
      const auto close = matching(source, i);
      if (!close) return {};
      i = *close;
    } else if (token == "<") {
      ++depth;
    } else if (token == ">") {
      if (--depth == 0) return i;
    } else if (token == ";" || token == ")" || token == "}" || token == "]") {
      return {};
    }
  }
  return {};
}

/// Token ranges [first, last) between `open` and `close`, cut at commas outside all brackets.
std::optional<std::vector<std::array<size_t, 2>>> split_list(const TokenizedSource& source,
                                                             size_t open, size_t close) {
  std::vector<std::array<size_t, 2>> items;
  size_t first = open + 1;
  bool value = false;  // behind =, where < compares
  for (size_t i = open + 1; i < close; ++i) {
    if (source.is_directive(i)) return {};
    const std::string_view token = source.at(i);
    if (token == "=") value = true;
    if (token == "(" || token == "[" || token == "{") {
      const auto end = matching(source, i);
      if (!end) return {};
      i = *end;
    } else if (token == "<" && !value) {
      const auto end = matching_angle(source, i);
      if (!end || *end >= close) return {};
      i = *end;
    } else if (token == ",") {
      items.push_back({first, i});
      first = i + 1;
      value = false;
    }
  }
  if (first < close) items.push_back({first, close});
  return items;
}

const std::set<std::string_view>& type_words() {
  static const std::set<std::string_view> words = {
      "void",   "bool",   "char",         "short",      "int",      "long",     "float",
      "double", "signed", "unsigned",     "const",      "volatile", "typename", "class",
      "struct", "auto",   "__restrict__", "__restrict", "restrict", "wchar_t"};
  return words;
}

struct Parameter {
  std::string name;
  bool pack = false;
};

/// The name declared by a parameter: the last word before a default value or array bound.
std::optional<Parameter> read_parameter(const TokenizedSource& source, size_t first, size_t last) {
  Parameter parameter;
  size_t end = first;
  int words = 0;
  for (; end < last && source.at(end) != "=" && source.at(end) != "["; ++end) {
    if (source.at(end) == "(") return {};
    if (source.at(end) == ".") parameter.pack = true;
    if (source.is_word(end)) ++words;
  }
  if (end == first || !source.is_word(end - 1) || words < 2) return {};
  if (contains(type_words(), source.at(end - 1))) return {};
  if (end - 1 > first && source.at(end - 2) == "::") return {};
  parameter.name = std::string(source.at(end - 1));
  return parameter;
}

std::optional<std::vector<std::string>> read_template_header(const TokenizedSource& source,
                                                             size_t open, size_t close) {
  const auto items = split_list(source, open, close);
  if (!items) return {};
  std::vector<std::string> names;
  for (const auto& [first, last] : *items) {
    const auto parameter = read_parameter(source, first, last);
    if (!parameter) return std::vector<std::string>{};  // fine for all but kernels
    names.push_back(parameter->name + (parameter->pack ? "..." : ""));
  }
  return names;
}

/// The first token of the qualified, possibly templated name whose last token is `last`.
std::optional<size_t> name_begin(const TokenizedSource& source, size_t last) {
  size_t i = last;
  for (;;) {
    if (source.at(i) == ">") {
      int depth = 0;
      for (;; --i) {
        const std::string_view token = source.at(i);
        if (token == ")" || token == "]") {
          int nested = 0;
          for (;; --i) {
            const std::string_view inner = source.at(i);
            if (inner == ")" || inner == "]") ++nested;
            if ((inner == "(" || inner == "[") && --nested == 0) break;
            if (i == 0) return {};
          }
        } else if (token == ">") {
          ++depth;
        } else if (token == "<" && --depth == 0) {
          break;
        } else if (token == ";" || token == "{" || token == "}" || i == 0) {
          return {};
        }
      }
      if (i == 0) return {};
      --i;
    }
    if (!source.is_word(i) || i == 0) return {};
    if (source.at(i - 1) != "::") return i;
    if (i < 2) return {};
    const std::string_view before = source.at(i - 2);
    const bool statement = before == "else" || before == "do" || before == "return";
    if (statement || (!source.is_word(i - 2) && before != ">")) return i - 1;  // global ::name
    i -= 2;
  }
}

/// Reads one declaration token by token.
class DeclarationParser {
 public:
  DeclarationParser(const TokenizedSource& source, size_t index) : source_(source), index_(index) {
    item_.begin = index;
  }

  std::optional<Declaration> parse() {
    if (!template_headers()) return {};
    item_.specifiers = index_;
    const std::string_view first = source_.at(index_);
    if (first == "asm" || first == "friend" || first == "__asm__") return {};
    if (first == "using" || first == "typedef" || first == "static_assert" || first == "namespace")
      return to_semicolon() ? std::optional(item_) : std::nullopt;
    while (index_ < source_.tokens.size()) {
      if (source_.is_directive(index_)) return {};
      if (!step()) return {};
      if (item_.end != 0) return item_;
    }
    return {};
  }

 private:
  std::string_view token(size_t ahead = 0) const { return source_.at(index_ + ahead); }

  bool template_headers() {
    while (token() == "template") {
      ++index_;
      if (token() != "<") continue;  // explicit instantiation
      const auto close = matching_angle(source_, index_);
      if (!close) return false;
      auto names = read_template_header(source_, index_, *close);
      if (!names) return false;
      item_.is_template = true;
      unnamed_template_ = names->empty() && *close > index_ + 1;
      item_.template_arguments = *std::move(names);
      index_ = *close + 1;
    }
    return true;
  }

  bool skip_group() {
    const auto close = matching(source_, index_);
    if (close) index_ = *close + 1;
    return close.has_value();
  }

  bool to_semicolon() {
    while (index_ < source_.tokens.size() && token() != ";") {
      if (source_.is_directive(index_) || token() == "}") return false;
      if (token() == "(" || token() == "[" || token() == "{") {
        if (!skip_group()) return false;
      } else {
        ++index_;
      }
    }
    if (index_ >= source_.tokens.size()) return false;
    item_.end = ++index_;
    return true;
  }

  void finish(Declaration::Kind kind) {
    item_.kind = kind;
    item_.end = index_;
  }

  bool step() {
    if (source_.is_word(index_)) return word();
    const std::string_view mark = token();
    if (mark == "(") return parenthesis();
    if (mark == "{") return brace();
    if (mark == "}" || mark == ")" || mark == "]") return false;
    if (mark == ";") {
      note_name();
      ++index_;
      finish_without_body();
      return true;
    }
    if (mark == "[") {
      note_name();
      return skip_group();
    }
    if (mark == "<" && !in_value_) {
      if (const auto close = matching_angle(source_, index_)) {
        index_ = *close + 1;
        return true;
      }
    }
    if (mark == "=") {
      note_name();
      in_value_ = true;
      const std::string_view next = token(1);
      has_value_ = next != "default" && next != "delete" && next != "0";
    } else if (mark == ",") {
      note_name();
      in_value_ = false;
    } else if (mark == ":" && item_.parameters != 0 && !is_class_) {
      item_.initializers = index_;
    }
    ++index_;
    return true;
  }

  bool word() {
    static const std::set<std::string_view> with_arguments = {
        "__attribute__",    "alignas",     "__align__",        "__launch_bounds__",
        "__cluster_dims__", "__maxnreg__", "__block_size__",   "decltype",
        "noexcept",         "explicit",    "__builtin_align__"};
    const std::string_view name = token();
    if (name == "try" || name == "asm") return false;
    item_.has_global |= name == "__global__";
    item_.has_device |= name == "__device__";
    item_.has_host |= name == "__host__";
    item_.has_constant |= name == "__constant__";
    item_.has_shared |= name == "__shared__";
    item_.is_const |= name == "const";
    item_.is_constexpr |= name == "constexpr";
    item_.is_extern |= name == "extern";
    if ((name == "class" || name == "struct" || name == "union" || name == "enum") &&
        item_.parameters == 0 && !in_value_) {
      is_class_ = true;
      is_enum_ |= name == "enum";
    }
    if (name == "operator") return operator_name();
    if (contains(with_arguments, name) && token(1) == "(") {
      ++index_;
      return skip_group();
    }
    if (!in_value_) last_word_ = index_;
    ++index_;
    return true;
  }

  bool operator_name() {
    ++index_;
    if (token() == "(" && token(1) == ")") {
      index_ += 2;
      return true;
    }
    while (index_ < source_.tokens.size() && !source_.is_word(index_) && token() != "(") {
      if (token() == "[") {
        if (!skip_group()) return false;
      } else {
        ++index_;
      }
    }
    return true;
  }

  bool parenthesis() {
    const auto close = matching(source_, index_);
    if (!close) return false;
    if (!in_value_ && item_.initializers == 0) {
      item_.parameters = index_;
      item_.parameters_end = *close;
    }
    index_ = *close + 1;
    return true;
  }

  bool brace() {
    const size_t open = index_;
    const bool behind_name = open > 0 && (source_.is_word(open - 1) || source_.at(open - 1) == ">");
    note_name();
    if (!skip_group()) return false;
    if (is_class_ && item_.parameters == 0) {
      if (!is_enum_) {
        item_.body = open;
        item_.body_end = index_;
      }
      if (!to_semicolon()) return false;
      finish(Declaration::Kind::type);
    } else if (in_value_) {
      return true;
    } else if (item_.parameters != 0 && !(item_.initializers != 0 && behind_name)) {
      item_.body = open;
      item_.body_end = index_;
      if (item_.has_global && unnamed_template_) return false;
      finish(Declaration::Kind::function);
    } else {
      in_value_ = item_.parameters == 0;
    }
    return true;
  }

  void finish_without_body() {
    if (item_.parameters != 0 && !has_value_)
      finish(Declaration::Kind::function);
    else if (is_class_ && item_.names.empty())
      finish(Declaration::Kind::other);
    else
      finish(Declaration::Kind::variable);
  }

  /// A word directly before [ = { ; or a comma is what a variable declaration declares.
  void note_name() {
    if (!in_value_ && last_word_ != 0 && last_word_ + 1 == index_ && item_.parameters == 0)
      item_.names.push_back(last_word_);
    last_word_ = 0;
  }

  const TokenizedSource& source_;
  size_t index_;
  Declaration item_;
  size_t last_word_ = 0;
  bool unnamed_template_ = false;
  bool is_class_ = false, is_enum_ = false;
  bool in_value_ = false;   // behind = or an opening brace of an initializer
  bool has_value_ = false;  // the value is none of default, delete and 0
};

}  // namespace

std::optional<Declaration> parse_declaration(const TokenizedSource& source, size_t index) {
  return DeclarationParser(source, index).parse();
}

std::optional<size_t> opens_block(const TokenizedSource& source, size_t index) {
  size_t i = index;
  if (source.at(i) == "extern" && source.at(i + 1).starts_with('"')) {
    if (source.at(i + 2) == "{") return i + 2;
    return {};
  }
  if (source.at(i) == "inline") ++i;
  if (source.at(i) != "namespace") return {};
  for (++i; source.is_word(i) || source.at(i) == "::"; ++i) {
  }
  if (source.at(i) == "{") return i;
  return {};
}

std::optional<std::string> kernel_stub(const TokenizedSource& source, const Declaration& kernel) {
  if (kernel.parameters == 0) return {};
  const auto first_of_name = name_begin(source, kernel.parameters - 1);
  const auto items = split_list(source, kernel.parameters, kernel.parameters_end);
  if (!first_of_name || !items) return {};
  std::string name;
  for (size_t i = *first_of_name; i < kernel.parameters; ++i) name += source.at(i);
  if (kernel.is_template && !kernel.template_arguments.empty())
    name += fmt::format("<{}>", fmt::join(kernel.template_arguments, ","));
  std::string arguments;
  std::string types;
  for (const auto& [first, last] : *items) {
    if (last == first + 1 && source.at(first) == "void") continue;
    const auto parameter = read_parameter(source, first, last);
    if (!parameter) return {};
    const char* pack = parameter->pack ? "..." : "";
    arguments += fmt::format("(void*)&{}{},", parameter->name, pack);
    types += fmt::format("{}decltype({}){}", types.empty() ? "" : ",", parameter->name, pack);
  }
  const std::string self = fmt::format("static_cast<void(*)({})>({})", types, name);
  return fmt::format(
      "{{void*assay_arguments[]={{{}nullptr}};asm volatile(ASSAY_KERNEL_RECORD::\"i\"({}));"
      "::assay_launcher::launch((const void*){},assay_arguments);}}",
      arguments, self, self);
}

std::optional<LaunchExpression> parse_launch(const TokenizedSource& source, size_t open) {
  LaunchExpression launch;
  if (open == 0) return {};
  size_t last = open - 1;
  if (source.at(last) == ")") {  // (pointer)<<<...>>>
    int depth = 0;
    for (size_t i = last;; --i) {
      if (source.at(i) == ")") ++depth;
      if (source.at(i) == "(" && --depth == 0) {
        launch.callee = i;
        break;
      }
      if (i == 0) return {};
    }
    if (launch.callee > 0 && source.is_word(launch.callee - 1) &&
        source.at(launch.callee - 1) != "else" && source.at(launch.callee - 1) != "do")
      return {};
  } else {
    const auto begin = name_begin(source, last);
    if (!begin) return {};
    launch.callee = *begin;
    if (launch.callee > 0) {
      const std::string_view before = source.at(launch.callee - 1);
      if (before == "->" || before == "." || before == "template") return {};
    }
  }
  for (size_t i = open + 3; i < source.tokens.size(); ++i) {
    const std::string_view token = source.at(i);
    if (source.is_directive(i) || token == ";" || token == ")" || token == "}") return {};
    if (token == "(" || token == "[" || token == "{") {
      const auto close = matching(source, i);
      if (!close) return {};
      i = *close;
    } else if (source.triple(i, '>')) {
      launch.close = i + 2;
      if (source.at(i + 3) != "(") return {};
      const auto close = matching(source, i + 3);
      if (!close) return {};
      launch.arguments_close = *close;
      return launch;
    }
  }
  return {};
}

Directive read_directive(std::string_view text) {
  Directive directive;
  directive.text = text;
  const auto skip = [&] {
    while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.remove_prefix(1);
  };
  text.remove_prefix(std::min<size_t>(1, text.size()));
  skip();
  size_t length = 0;
  while (length < text.size() &&
         ((text[length] >= 'a' && text[length] <= 'z') || text[length] == '_'))
    ++length;
  directive.name = text.substr(0, length);
  text.remove_prefix(length);
  skip();
  if (directive.name == "include" && !text.empty() && (text[0] == '<' || text[0] == '"')) {
    const size_t close = text.find(text[0] == '<' ? '>' : '"', 1);
    if (close != std::string_view::npos) directive.argument = text.substr(1, close - 1);
  }
  return directive;
}

bool harmless_macro(std::string_view text) {
  static const std::set<std::string_view> keywords = {
      "const",    "static",  "struct",    "class",    "template", "typename", "namespace",
      "extern",   "void",    "constexpr", "operator", "using",    "typedef",  "inline",
      "public",   "private", "protected", "enum",     "union",    "auto",     "decltype",
      "noexcept", "alignas", "NDEBUG",    "min",      "max"};
  for (const std::string_view word : {"__global__", "__device__", "__host__", "__constant__", "<<<",
                                      "##", "template", "namespace", "extern"})
    if (text.find(word) != std::string_view::npos) return false;
  std::string joined(text.substr(text.find("define") + 6));
  for (char& c : joined)
    if (c == '\\' || c == '\n') c = ' ';  // continued lines
  const auto tokens = tokenize(joined);
  if (!tokens || tokens->tokens.empty() || !tokens->is_word(0)) return false;
  const std::string_view name = tokens->at(0);
  const bool function_like =
      tokens->at(1) == "(" && tokens->tokens[1].begin == tokens->tokens[0].end;
  for (const std::string_view prefix :
       {"CUB_", "THRUST_", "CCCL_", "LIBCUDACXX_", "CUDA_", "NV_", "CUDART_", "CG_"})
    if (name.starts_with(prefix) && !function_like) return false;
  if (name.starts_with('_')) return false;
  if (contains(keywords, name)) return false;
  std::string open;
  for (size_t i = 1; i < tokens->tokens.size(); ++i) {
    if (tokens->tokens[i].kind != Token::Kind::mark) continue;
    const char c = tokens->at(i)[0];
    if (c == '(' || c == '[' || c == '{') open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

}  // namespace assay
