#include "evaluator/timing/budget.h"

namespace assay {

std::optional<TimingBudget> budget_from_name(std::string_view name) {
  TimingBudget budget;  // the defaults are those of "benchmark"
  budget.name = std::string(name);
  if (name == "benchmark") return budget;
  if (name == "leaderboard") {
    budget.cap_seconds = 10;
    budget.processes = 3;
    return budget;
  }
  if (name == "rl") {
    budget.burst_ms = 1;
    budget.cap_seconds = 0.3;
    budget.duty = 0.8;
    budget.half_width = 0.015;
    budget.first_look_blocks = 8;
    budget.warm_up_min_ms = 20;
    budget.warm_up_cap_ms = 500;
    budget.verify_every_burst = false;
    budget.fresh_process = false;
    return budget;
  }
  return std::nullopt;
}

}  // namespace assay
