// The words of the plan's JSON form, shared by its writer and its parser.
#pragma once

#include <string>
#include <string_view>

#include "evaluator/plan/plan.h"

namespace assay::plan_form {

inline constexpr const char* kFormat = "assay-launch-plan";
inline constexpr int kVersion = 1;

std::string_view name(Allocation::Kind kind);
std::string to_hex(std::string_view bytes);

}  // namespace assay::plan_form
