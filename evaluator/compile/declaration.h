// Declarations of a candidate's source, recognised from their tokens alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evaluator/compile/lexer.h"

namespace assay {

/// Indices are of tokens; 0 stands for "none" where a declaration cannot start with the token.
struct Declaration {
  enum class Kind { function, variable, type, other } kind = Kind::other;
  size_t begin = 0;           // `template` included
  size_t specifiers = 0;      // the first token behind template<...>
  size_t end = 0;             // one behind the last token
  size_t body = 0;            // the opening brace of a function or class
  size_t body_end = 0;        // one behind the closing brace
  size_t initializers = 0;    // the colon before a constructor's member initializers
  size_t parameters = 0;      // the opening parenthesis of a function's parameters
  size_t parameters_end = 0;  // the closing one
  std::vector<size_t> names;  // of a variable declaration
  std::vector<std::string> template_arguments;  // of the innermost header: "T", "N", "Rest..."
  bool is_template = false;
  bool has_global = false, has_device = false, has_host = false;
  bool has_constant = false, has_shared = false;
  bool is_const = false, is_constexpr = false, is_extern = false;
};

/// The declaration that starts at `index`; nullopt: not understood.
std::optional<Declaration> parse_declaration(const TokenizedSource& source, size_t index);

/// The opening brace, if a namespace or a linkage block starts at `index`.
std::optional<size_t> opens_block(const TokenizedSource& source, size_t index);

/// The body that a kernel gets in the host half: registers the function under its symbol and
/// launches it with its arguments. nullopt: parameters that cannot be named.
std::optional<std::string> kernel_stub(const TokenizedSource& source, const Declaration& kernel);

/// `callee<<<...>>>(arguments)`, found at the first `<`.
struct LaunchExpression {
  size_t callee = 0;           // first token
  size_t close = 0;            // the last `>`
  size_t arguments_close = 0;  // the closing parenthesis
};
std::optional<LaunchExpression> parse_launch(const TokenizedSource& source, size_t open);

struct Directive {
  std::string_view name;      // "include", "define", ...
  std::string_view argument;  // of an include of one fixed name
  std::string_view text;      // all of it
};
Directive read_directive(std::string_view text);

/// A #define that cannot change how declarations are recognised or what a header declares.
bool harmless_macro(std::string_view text);

}  // namespace assay
