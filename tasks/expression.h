// Expressions over symbols, as task files use them for shapes, scalars and fill parameters.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assay {

/// Symbols with values, and the expressions that use them. Numbers are doubles, so integers are
/// exact up to 2^53. Operators: + - * / % ^ (power), comparisons, && ||, a ? b : c. Functions:
/// ceil_div(a, b), align(a, b) (a rounded up to a multiple of b), min, max, floor, ceil, round,
/// abs, log2, sqrt, exp, ln and the others of muParser. Constants: pi, inf, nan.
class Expressions {
 public:
  Expressions();
  ~Expressions();
  Expressions(Expressions&&) noexcept;
  Expressions& operator=(Expressions&&) noexcept;

  /// Whether `name` can be a symbol: a letter, then letters, digits and underscores, at most 64;
  /// not the name of a function or constant.
  static bool is_symbol(std::string_view name);

  /// Gives a symbol (is_symbol) a finite value; a symbol is defined once.
  void define(const std::string& name, double value);

  /// Errors (invalid) quote the expression and name the position of what is wrong, counted from 1.
  /// A result that is not finite is an error, unless `allow_infinite`.
  Result<double> evaluate(std::string_view text, bool allow_infinite = false) const;

  /// The same for values that must be whole numbers of 0 ... 2^53.
  Result<uint64_t> evaluate_size(std::string_view text) const;

  const std::map<std::string, double>& symbols() const { return symbols_; }

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  std::map<std::string, double> symbols_;
};

}  // namespace assay
