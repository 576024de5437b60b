#include "tasks/fill_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tasks/fill_element.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

using Makes = FillKindInfo::Makes;

constexpr double kExactLimit = 9007199254740992.0;  // 2^53
constexpr std::string_view kWholeTensor = "the whole tensor";

FillParameter needed(std::string_view name, double Fill::*slot) { return {name, slot, {}, {}}; }
FillParameter optional(std::string_view name, double Fill::*slot, double fallback) {
  return {name, slot, fallback, {}};
}
FillParameter needed_row() { return {"row", nullptr, {}, {}}; }
FillParameter optional_row() { return {"row", nullptr, 0, kWholeTensor}; }

std::vector<FillParameter> segment_parameters(std::string_view first, bool with_row) {
  std::vector<FillParameter> result = {
      needed(first, &Fill::a), optional("min", &Fill::b, 0), optional("skew", &Fill::c, 1),
      optional("empty", &Fill::d, 0), optional("longest", &Fill::e, 0)};
  if (with_row) result.push_back(optional_row());
  return result;
}

std::vector<FillKindInfo> make_table() {
  return {
      {FillKind::constant,
       "constant",
       {needed("value", &Fill::a)},
       Makes::all,
       true,
       "every element is value"},
      {FillKind::arange,
       "arange",
       {optional("start", &Fill::a, 0), optional("step", &Fill::b, 1), optional_row()},
       Makes::numbers,
       true,
       "start + j * step, j the position in the row"},
      {FillKind::normal,
       "normal",
       {optional("mean", &Fill::a, 0), optional("stddev", &Fill::b, 1)},
       Makes::numbers,
       true,
       "normal distribution"},
      {FillKind::uniform,
       "uniform",
       {optional("low", &Fill::a, 0), optional("high", &Fill::b, 1)},
       Makes::numbers,
       true,
       "uniform in [low, high)"},
      {FillKind::randint,
       "randint",
       {needed("low", &Fill::a), needed("high", &Fill::b)},
       Makes::all,
       true,
       "uniform integers in [low, high)"},
      {FillKind::permutation,
       "permutation",
       {{"high", &Fill::a, 0, "row"}, optional_row()},
       Makes::integers_exactly,
       true,
       "distinct integers of 0 ... high-1 in each row, in random order"},
      {FillKind::bernoulli,
       "bernoulli",
       {optional("p", &Fill::a, 0.5), optional("value", &Fill::b, 1)},
       Makes::all,
       true,
       "value with probability p, else 0"},
      {FillKind::cumulative_lengths, "cumulative_lengths", segment_parameters("total", true),
       Makes::integers_exactly, false,
       "offsets of row-1 segments: 0, then running sums of their lengths, last total"},
      {FillKind::sorted_unique,
       "sorted_unique",
       {optional("low", &Fill::a, 0), needed("high", &Fill::b), optional_row()},
       Makes::integers_exactly,
       true,
       "strictly increasing integers in [low, high) in each row"},
      {FillKind::packed_bits,
       "packed_bits",
       {optional("bits", &Fill::a, 1),
        optional("low", &Fill::b, 0),
        {"high", &Fill::c, 0, "2 ^ bits"}},
       Makes::words,
       false,
       "words of fields of `bits` bits, each uniform in [low, high)"},
      {FillKind::outliers,
       "outliers",
       {optional("mean", &Fill::a, 0), optional("stddev", &Fill::b, 1),
        optional("fraction", &Fill::c, 0.001), optional("scale", &Fill::d, 100)},
       Makes::numbers,
       true,
       "normal, a fraction of the elements multiplied by scale"},
      {FillKind::log_uniform,
       "log_uniform",
       {needed("low", &Fill::a), needed("high", &Fill::b), optional("signed", &Fill::c, 0)},
       Makes::numbers,
       true,
       "the logarithm is uniform: low <= |x| <= high, random sign if signed"},
      {FillKind::one_hot,
       "one_hot",
       {optional("value", &Fill::a, 1), needed_row()},
       Makes::all,
       true,
       "value at one random place in each row, else 0"},
      {FillKind::half_normal,
       "half_normal",
       {optional("stddev", &Fill::a, 1)},
       Makes::numbers,
       true,
       "absolute value of a normal number"},
      {FillKind::exponential,
       "exponential",
       {optional("mean", &Fill::a, 1)},
       Makes::numbers,
       true,
       "exponential distribution"},
      {FillKind::zipf,
       "zipf",
       {needed("high", &Fill::a), optional("exponent", &Fill::b, 1)},
       Makes::integers_exactly,
       true,
       "integers k in [0, high) with probability proportional to (k + 1)^-exponent"},
      {FillKind::stratified,
       "stratified",
       {optional("low", &Fill::a, 0), optional("high", &Fill::b, 1), optional_row()},
       Makes::numbers,
       true,
       "sorted rows: element j uniform in the j-th of `row` equal parts of [low, high)"},
      {FillKind::scaled_rows,
       "scaled_rows",
       {optional("stddev", &Fill::a, 1), needed("low", &Fill::b), needed("high", &Fill::c),
        needed_row()},
       Makes::numbers,
       true,
       "normal, each row times its own factor, log-uniform in [low, high]"},
      {FillKind::unit_rows,
       "unit_rows",
       {needed_row()},
       Makes::numbers,
       true,
       "random directions: normal rows scaled to Euclidean length 1"},
      {FillKind::softmax_rows,
       "softmax_rows",
       {optional("stddev", &Fill::a, 1), optional("log", &Fill::b, 0), needed_row()},
       Makes::numbers,
       true,
       "softmax (log = 1: its logarithm) of a row of normal numbers"},
      {FillKind::lengths, "lengths", segment_parameters("total", true), Makes::integers_exactly,
       false, "lengths of `row` segments that sum to total"},
      {FillKind::segment_ids, "segment_ids", segment_parameters("segments", true),
       Makes::integers_exactly, false,
       "for each of the `row` positions the number of the segment it lies in"},
  };
}

constexpr std::array<std::string_view, 4> kModifiers = {"grid", "replace", "with", "replace_row"};

Error invalid(std::string message) { return Error{ErrorKind::invalid, std::move(message)}; }

/// Collects the first complaint about parameter values.
class Checker {
 public:
  explicit Checker(const Fill& fill) : fill_(fill) {}

  void require(bool holds, std::string_view parameter, double value, std::string_view allowed) {
    if (!holds && complaint_.empty())
      complaint_ = fmt::format("{} is {}; it must be {}", parameter, value, allowed);
  }
  void finite(std::string_view parameter, double value) {
    require(std::isfinite(value), parameter, value, "a finite number");
  }
  void non_negative(std::string_view parameter, double value) {
    require(std::isfinite(value) && value >= 0, parameter, value, "at least 0");
  }
  void positive(std::string_view parameter, double value) {
    require(std::isfinite(value) && value > 0, parameter, value, "above 0");
  }
  void probability(std::string_view parameter, double value) {
    require(value >= 0 && value <= 1, parameter, value, "between 0 and 1");
  }
  void whole(std::string_view parameter, double value) {
    require(value == std::floor(value) && std::abs(value) <= kExactLimit, parameter, value,
            "a whole number of at most 2^53");
  }
  /// All integers of [low, high] are elements of the dtype.
  void holds_integers(std::string_view parameter, double low, double high) {
    const double most = largest_exact_integer(fill_.dtype);
    const bool is_signed =
        fill_.dtype != Dtype::u8 && fill_.dtype != Dtype::u32 && fill_.dtype != Dtype::boolean;
    const double least = !is_signed ? 0 : is_floating(fill_.dtype) ? -most : -most - 1;
    require(low >= least && high <= most, parameter, high > most ? high : low,
            fmt::format("such that {} holds every integer exactly, from {} to {}",
                        name(fill_.dtype), least, most));
  }
  /// An element of the dtype, rounding allowed for floating ones.
  void holds(std::string_view parameter, double value) {
    if (is_floating(fill_.dtype)) {
      const bool special = std::isnan(value) || (std::isinf(value) && fill_.dtype != Dtype::e4m3);
      require(special || std::abs(value) <= largest(fill_.dtype), parameter, value,
              fmt::format("a number that {} can hold", name(fill_.dtype)));
    } else {
      require(rounded(fill_.dtype, value) == value, parameter, value,
              fmt::format("a whole number that {} can hold", name(fill_.dtype)));
    }
  }
  const std::string& complaint() const { return complaint_; }

 private:
  const Fill& fill_;
  std::string complaint_;
};

void check_segments(Checker& check, const Fill& fill) {
  const bool ids = fill.kind == FillKind::segment_ids;
  const bool offsets = fill.kind == FillKind::cumulative_lengths;
  const double row = static_cast<double>(fill.row);
  check.whole(ids ? "segments" : "total", fill.a);
  check.non_negative(ids ? "segments" : "total", fill.a);
  check.whole("min", fill.b);
  check.non_negative("min", fill.b);
  check.require(fill.c >= 0 && fill.c <= 20, "skew", fill.c, "between 0 and 20");
  check.probability("empty", fill.d);
  check.probability("longest", fill.e);
  const double segments = ids ? fill.a : offsets ? row - 1 : row;
  const double total = ids ? row : fill.a;
  check.require(segments >= 1 || total == 0, "total", total,
                "0 where there is no segment (offsets have one element more than segments)");
  check.require(segments <= 4294967295.0, "segments", segments, "below 2^32");
  check.require(fill.b * segments <= total, "min", fill.b,
                fmt::format("small enough: {} segments of it do not fit into {}", segments, total));
  check.holds_integers(ids ? "segments" : "total", 0, ids ? segments - 1 : total);
}

void check_packed_bits(Checker& check, Fill& fill, bool high_given) {
  const double width = std::min(32u, fills::packed_width(fill.dtype));
  check.require(fill.a >= 1 && fill.a <= width && fill.a == std::floor(fill.a), "bits", fill.a,
                fmt::format("a whole number of 1 ... {} for {}", width, name(fill.dtype)));
  if (!check.complaint().empty()) return;
  const double codes = std::exp2(fill.a);
  if (!high_given) fill.c = codes;
  check.whole("low", fill.b);
  check.whole("high", fill.c);
  check.require(fill.b >= 0 && fill.b < fill.c, "low", fill.b, "at least 0 and below high");
  check.require(fill.c <= codes, "high", fill.c, fmt::format("at most 2^bits = {}", codes));
}

void check_parameters(Checker& check, Fill& fill, const std::map<std::string, double>& values) {
  const double row = static_cast<double>(fill.row);
  switch (fill.kind) {
    case FillKind::constant:
      check.holds("value", fill.a);
      break;
    case FillKind::arange:
      check.finite("start", fill.a);
      check.finite("step", fill.b);
      if (!is_floating(fill.dtype)) {
        check.whole("start", fill.a);
        check.whole("step", fill.b);
        const double end = fill.a + std::max(0.0, row - 1) * fill.b;
        check.holds_integers("start + step * (row - 1)", std::min(fill.a, end),
                             std::max(fill.a, end));
      }
      break;
    case FillKind::normal:
      check.finite("mean", fill.a);
      check.non_negative("stddev", fill.b);
      break;
    case FillKind::uniform:
      check.finite("low", fill.a);
      check.finite("high", fill.b);
      check.require(fill.a <= fill.b, "high", fill.b, fmt::format("at least low = {}", fill.a));
      break;
    case FillKind::randint:
      check.whole("low", fill.a);
      check.whole("high", fill.b);
      check.require(fill.a < fill.b, "high", fill.b, fmt::format("above low = {}", fill.a));
      check.holds_integers("low or high - 1", fill.a, fill.b - 1);
      break;
    case FillKind::permutation:
      if (!values.contains("high")) fill.a = row;
      check.whole("high", fill.a);
      check.require(fill.a >= row, "high", fill.a,
                    fmt::format("at least row = {}, so that a row can have distinct values", row));
      check.holds_integers("high - 1", 0, fill.a - 1);
      break;
    case FillKind::bernoulli:
      check.probability("p", fill.a);
      check.holds("value", fill.b);
      break;
    case FillKind::cumulative_lengths:
    case FillKind::lengths:
    case FillKind::segment_ids:
      check_segments(check, fill);
      break;
    case FillKind::sorted_unique:
      check.whole("low", fill.a);
      check.whole("high", fill.b);
      check.require(fill.b - fill.a >= row, "high", fill.b,
                    fmt::format("at least low + row = {}", fill.a + row));
      check.holds_integers("low or high - 1", fill.a, fill.b - 1);
      break;
    case FillKind::packed_bits:
      check_packed_bits(check, fill, values.contains("high"));
      break;
    case FillKind::outliers:
      check.finite("mean", fill.a);
      check.non_negative("stddev", fill.b);
      check.probability("fraction", fill.c);
      check.finite("scale", fill.d);
      break;
    case FillKind::log_uniform:
      check.positive("low", fill.a);
      check.require(fill.a >= 1e-300, "low", fill.a, "at least 1e-300");
      check.require(std::isfinite(fill.b) && fill.b >= fill.a, "high", fill.b,
                    fmt::format("at least low = {}", fill.a));
      break;
    case FillKind::one_hot:
      check.holds("value", fill.a);
      check.require(fill.row <= uint64_t{1} << 32, "row", row, "at most 2^32");
      break;
    case FillKind::half_normal:
      check.non_negative("stddev", fill.a);
      break;
    case FillKind::exponential:
      check.non_negative("mean", fill.a);
      break;
    case FillKind::zipf:
      check.whole("high", fill.a);
      check.require(fill.a >= 1 && fill.a <= 4294967296.0, "high", fill.a, "between 1 and 2^32");
      check.require(fill.b >= 0 && fill.b <= 20, "exponent", fill.b, "between 0 and 20");
      check.holds_integers("high - 1", 0, fill.a - 1);
      break;
    case FillKind::stratified:
      check.finite("low", fill.a);
      check.finite("high", fill.b);
      break;
    case FillKind::scaled_rows:
      check.non_negative("stddev", fill.a);
      check.require(fill.b >= 1e-300, "low", fill.b, "above 0");
      check.require(std::isfinite(fill.c) && fill.c >= fill.b, "high", fill.c,
                    fmt::format("at least low = {}", fill.b));
      break;
    case FillKind::unit_rows:
      break;
    case FillKind::softmax_rows:
      check.require(fill.a >= 0 && fill.a <= 50, "stddev", fill.a, "between 0 and 50");
      break;
  }
}

void check_modifiers(Checker& check, const Fill& fill,
                     const std::map<std::string, double>& values) {
  if (values.contains("grid")) check.positive("grid", fill.grid);
  check.probability("replace", fill.replace);
  if (values.contains("with")) check.holds("with", fill.with);
}

/// A count given as a double: a whole number of at least 1.
Result<uint64_t> count_of(std::string_view parameter, double value) {
  if (!(value >= 1 && value <= kExactLimit) || value != std::floor(value))
    return invalid(
        fmt::format("{} is {}; it must be a whole number of at least 1", parameter, value));
  return static_cast<uint64_t>(value);
}

Result<void> take_values(Fill& fill, const std::map<std::string, double>& values) {
  const FillKindInfo& kind = info(fill.kind);
  const std::vector<std::string> known = fill_parameter_names(fill.kind);
  for (const auto& [given, value] : values)
    if (std::find(known.begin(), known.end(), given) == known.end())
      return invalid(fmt::format("{} is not a parameter of {}; allowed: {}{}", in_quotes(given),
                                 kind.name, listed(known), suggestion(given, known)));
  fill.row = fill.elements;
  for (const FillParameter& parameter : kind.parameters) {
    const auto given = values.find(std::string(parameter.name));
    if (given == values.end() && !parameter.fallback)
      return invalid(fmt::format("the fill {} needs the parameter {}", kind.name, parameter.name));
    if (parameter.slot) {
      fill.*parameter.slot = given != values.end() ? given->second : *parameter.fallback;
    } else if (given != values.end()) {
      ASSIGN_OR_RETURN(fill.row, count_of("row", given->second));
      if (fill.elements % fill.row != 0)
        return invalid(fmt::format("row is {}; it must divide the {} elements of the tensor",
                                   fill.row, fill.elements));
    }
  }
  const auto modifier = [&](const char* modifier_name, double fallback) {
    const auto given = values.find(modifier_name);
    return given != values.end() ? given->second : fallback;
  };
  fill.grid = modifier("grid", 0);
  fill.replace = modifier("replace", 0);
  fill.with = modifier("with", 0);
  ASSIGN_OR_RETURN(fill.replace_row, count_of("replace_row", modifier("replace_row", 1)));
  return {};
}

}  // namespace

std::span<const FillKindInfo> fill_kinds() {
  static const std::vector<FillKindInfo> table = make_table();
  return table;
}

const FillKindInfo& info(FillKind kind) { return fill_kinds()[static_cast<size_t>(kind)]; }
std::string_view name(FillKind kind) { return info(kind).name; }

std::optional<FillKind> fill_kind_from_name(std::string_view name) {
  for (const FillKindInfo& kind : fill_kinds())
    if (kind.name == name) return kind.kind;
  return std::nullopt;
}

std::span<const std::string_view> fill_modifiers() { return kModifiers; }

std::vector<std::string> fill_parameter_names(FillKind kind) {
  std::vector<std::string> names;
  for (const FillParameter& parameter : info(kind).parameters) names.emplace_back(parameter.name);
  if (info(kind).takes_modifiers)
    for (const std::string_view modifier : kModifiers) names.emplace_back(modifier);
  return names;
}

Result<Fill> make_fill(FillKind kind, Dtype dtype, uint64_t elements, uint32_t ordinal,
                       const std::map<std::string, double>& values) {
  Fill fill;
  fill.kind = kind;
  fill.dtype = dtype;
  fill.elements = elements;
  fill.ordinal = ordinal;
  const Makes makes = info(kind).makes;
  if (dtype == Dtype::boolean && makes != Makes::all && makes != Makes::words)
    return invalid(
        fmt::format("the fill {} cannot make bool; use bernoulli, randint, constant, "
                    "one_hot or packed_bits",
                    name(kind)));
  RETURN_IF_ERROR(take_values(fill, values));
  Checker check(fill);
  check_parameters(check, fill, values);
  check_modifiers(check, fill, values);
  if (!check.complaint().empty()) return invalid(check.complaint());
  return fill;
}

}  // namespace assay
