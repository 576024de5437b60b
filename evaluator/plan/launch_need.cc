#include "evaluator/plan/launch_need.h"

#include <algorithm>

namespace assay {

bool copies_data(const LaunchPlan& plan) {
  return std::ranges::any_of(plan.operations, [](const Operation& operation) {
    const auto* copy = std::get_if<Copy>(&operation.action);
    return std::holds_alternative<ElementCopy>(operation.action) ||
           (copy != nullptr && copy->literal.empty());
  });
}

LaunchPlan without_launches(LaunchPlan plan) {
  std::erase_if(plan.operations, [](const Operation& operation) {
    return std::holds_alternative<Launch>(operation.action);
  });
  for (uint32_t i = 0; i < plan.operations.size(); ++i) {
    plan.operations[i].depends_on.clear();
    if (i > 0) plan.operations[i].depends_on.push_back(i - 1);
  }
  return plan;
}

}  // namespace assay
