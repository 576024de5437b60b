// The table of fill kinds: their names, parameters and limits, as task files and documents use
// them.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tasks/fill.h"

namespace assay {

struct FillParameter {
  std::string_view name;
  double Fill::*slot = nullptr;            // null: Fill::row
  std::optional<double> fallback;          // none: the parameter must be given
  std::string_view derived_fallback = {};  // said in messages where the fallback is computed
};

struct FillKindInfo {
  FillKind kind;
  std::string_view name;
  std::vector<FillParameter> parameters;
  /// Which dtypes it makes.
  enum class Makes { all, numbers, integers_exactly, words } makes = Makes::numbers;
  bool takes_modifiers = true;
  std::string_view description;
};

/// All kinds, in the order of the enumeration.
std::span<const FillKindInfo> fill_kinds();
const FillKindInfo& info(FillKind kind);
std::string_view name(FillKind kind);
std::optional<FillKind> fill_kind_from_name(std::string_view name);

/// The modifiers that every kind with takes_modifiers accepts: grid, replace, with, replace_row.
std::span<const std::string_view> fill_modifiers();

/// Names that may stand in a fill of this kind, `kind` and `like` excepted.
std::vector<std::string> fill_parameter_names(FillKind kind);

/// Puts parameter values into a Fill and checks them: missing and unknown ones, ranges, and that
/// the dtype can hold what the kind makes. The error says which parameter and what is allowed.
Result<Fill> make_fill(FillKind kind, Dtype dtype, uint64_t elements, uint32_t ordinal,
                       const std::map<std::string, double>& values);

}  // namespace assay
