#include "tasks/expression.h"

#include <fmt/format.h>
#include <muParser.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "tasks/nearest.h"

namespace assay {

namespace {

constexpr size_t kLongestExpression = 500;
constexpr int kDeepestParentheses = 40;
constexpr double kExactLimit = 9007199254740992.0;  // 2^53

double remainder_of(double a, double b) {
  if (b == 0) throw mu::ParserError("remainder of a division by zero");
  return std::fmod(a, b);
}

double ceil_div(double a, double b) {
  if (b <= 0) throw mu::ParserError("ceil_div needs a divisor above zero");
  const double quotient = std::floor(a / b);
  return quotient * b < a ? quotient + 1 : quotient;
}

double align(double a, double b) { return ceil_div(a, b) * b; }
double floor_of(double x) { return std::floor(x); }
double ceil_of(double x) { return std::ceil(x); }
double round_of(double x) { return std::round(x); }

void define_language(mu::Parser& parser) {
  parser.EnableBuiltInOprt(true);
  parser.DefineOprt("%", remainder_of, mu::prMUL_DIV, mu::oaLEFT, true);
  parser.DefineFun("ceil_div", ceil_div, true);
  parser.DefineFun("align", align, true);
  parser.DefineFun("floor", floor_of, true);
  parser.DefineFun("ceil", ceil_of, true);
  parser.DefineFun("round", round_of, true);
  parser.DefineConst("pi", 3.14159265358979323846);
  parser.DefineConst("inf", std::numeric_limits<double>::infinity());
  parser.DefineConst("nan", std::numeric_limits<double>::quiet_NaN());
}

/// Characters of the language, and the limits that keep the parser's work small.
std::string complaint_before_parsing(std::string_view text) {
  if (text.find_first_not_of(" \t") == std::string_view::npos) return "the expression is empty";
  if (text.size() > kLongestExpression)
    return fmt::format("the expression is longer than {} characters", kLongestExpression);
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && std::string_view(" \t_.+-*/%^(),<>=!?:&|").find(c) == std::string_view::npos)
      return fmt::format("position {}: the character {} is not allowed", i + 1,
                         in_quotes(text.substr(i, 1)));
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (depth > kDeepestParentheses)
      return fmt::format("more than {} nested parentheses", kDeepestParentheses);
  }
  return "";
}

std::string complaint_of(const mu::ParserError& error,
                         const std::map<std::string, double>& symbols) {
  std::vector<std::string> names;
  for (const auto& [name, value] : symbols) names.push_back(name);
  const std::string token = error.GetToken();
  const std::string place = fmt::format("position {}", error.GetPos() + 1);
  switch (error.GetCode()) {
    case mu::ecUNASSIGNABLE_TOKEN:
      return fmt::format("{}: unknown symbol {}; defined are: {}{}", place, in_quotes(token),
                         names.empty() ? "none" : listed(names), suggestion(token, names));
    case mu::ecUNEXPECTED_EOF:
      return place + ": the expression ends too early";
    case mu::ecMISSING_PARENS:
      return "a closing parenthesis is missing";
    case mu::ecDIV_BY_ZERO:
      return "division by zero";
    case mu::ecGENERIC:
      return error.GetMsg();
    case mu::ecUNEXPECTED_OPERATOR:
    case mu::ecUNEXPECTED_ARG_SEP:
    case mu::ecUNEXPECTED_ARG:
    case mu::ecUNEXPECTED_VAL:
    case mu::ecUNEXPECTED_VAR:
    case mu::ecUNEXPECTED_PARENS:
    case mu::ecUNEXPECTED_FUN:
    case mu::ecUNEXPECTED_CONDITIONAL:
      return fmt::format("{}: unexpected {}", place, in_quotes(token));
    case mu::ecTOO_MANY_PARAMS:
      return fmt::format("{}: too many arguments", place);
    case mu::ecTOO_FEW_PARAMS:
      return fmt::format("{}: too few arguments", place);
    default:
      return fmt::format("{}: cannot be understood here", place);
  }
}

}  // namespace

struct Expressions::Parser {
  mu::Parser parser;
};

Expressions::Expressions() : parser_(std::make_unique<Parser>()) {
  define_language(parser_->parser);
}
Expressions::~Expressions() = default;
Expressions::Expressions(Expressions&&) noexcept = default;
Expressions& Expressions::operator=(Expressions&&) noexcept = default;

bool Expressions::is_symbol(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool later = (c >= '0' && c <= '9') || c == '_';
    if (!letter && (i == 0 || !later)) return false;
  }
  static const mu::Parser language = [] {
    mu::Parser parser;
    define_language(parser);
    return parser;
  }();
  const std::string text(name);
  return !language.GetFunDef().contains(text) && !language.GetConst().contains(text);
}

void Expressions::define(const std::string& name, double value) {
  symbols_[name] = value;
  parser_->parser.DefineConst(name, value);
}

Result<double> Expressions::evaluate(std::string_view text, bool allow_infinite) const {
  const auto failure = [&](const std::string& why) {
    return Error{ErrorKind::invalid, fmt::format("{}: {}", in_quotes(text), why)};
  };
  if (const std::string why = complaint_before_parsing(text); !why.empty()) return failure(why);
  double value = 0;
  try {
    parser_->parser.SetExpr(std::string(text));
    int results = 0;
    const double* values = parser_->parser.Eval(results);
    if (results != 1) return failure("has several values separated by commas; one is needed");
    value = values[0];
  } catch (const mu::ParserError& error) {
    return failure(complaint_of(error, symbols_));
  } catch (const std::exception& error) {
    return failure(fmt::format("cannot be evaluated ({})", error.what()));
  }
  if (!allow_infinite && !std::isfinite(value))
    return failure(fmt::format("is {}, not a finite number", value));
  return value;
}

Result<uint64_t> Expressions::evaluate_size(std::string_view text) const {
  ASSIGN_OR_RETURN(const double value, evaluate(text));
  if (value != std::floor(value))
    return Error{ErrorKind::invalid,
                 fmt::format("{}: is {}, but must be a whole number", in_quotes(text), value)};
  if (value < 0 || value > kExactLimit)
    return Error{ErrorKind::invalid,
                 fmt::format("{}: is {}, but must lie between 0 and 2^53", in_quotes(text), value)};
  return static_cast<uint64_t>(value);
}

}  // namespace assay
