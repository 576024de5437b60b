#include "evaluator/timing/budget.h"

namespace assay {

std::optional<TimingBudget> budget_from_name(std::string_view name) {
  if (name == "rl") return TimingBudget{"rl", 1.0, 0.3, 0.015, 8, 50, 500, false, 1};
  if (name == "benchmark") return TimingBudget{"benchmark", 2.5, 2, 0.005, 12, 300, 3000, true, 1};
  if (name == "leaderboard")
    return TimingBudget{"leaderboard", 2.5, 10, 0.005, 12, 300, 3000, true, 3};
  return std::nullopt;
}

}  // namespace assay
