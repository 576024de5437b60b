// Two recordings of one solve(), made with different fake addresses, into one plan without
// addresses.
#pragma once

#include <string>
#include <variant>

#include "evaluator/plan/plan.h"

namespace assay::recording {

/// A recording as assay-recorder wrote it: a plan whose launch parameters hold raw fake addresses,
/// and the base they follow from.
struct Recording {
  LaunchPlan plan;
  uint64_t base = 0;
};

/// Where the recordings differ although they should not, in words for the author.
struct Difference {
  std::string explanation;
};

/// The plan both recordings agree on: pointers as relocations, tensor maps recognised,
/// dependencies reduced to those that no other implies, variables that nothing uses left out.
std::variant<LaunchPlan, Difference> unify(const Recording& first, const Recording& second);

}  // namespace assay::recording
