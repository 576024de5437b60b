// Runs as training data: one JSON line a turn.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reports/run_store.h"
#include "reports/speed.h"

namespace assay {

/// A reward of one turn from stored facts. Absent: masked, not 0 (trouble of ours, or a speed that
/// was not measured where the formula needs one).
struct RewardFormula {
  std::string name;  // with its version: "kevin-1"
  std::string about;
  std::optional<double> (*reward)(Outcome outcome, const std::optional<Speed>& speed);
};
const std::vector<RewardFormula>& reward_formulas();
/// usage: names the nearest formulas.
Result<RewardFormula> find_reward(const std::string& name);

/// Shapes of a line: "assay" (all facts), "chat" (prompt and completion as lists of messages),
/// "text" (prompt and completion as text). A new one is a function in one list.
const std::vector<std::string>& export_formats();

struct ExportOptions {
  std::string format = "assay";
  std::string reward = "kevin-1";
  double discount = 0.4;  // of later turns in `return`
};

/// Calls `line` for each turn with a verdict, sample by sample. Errors: usage (unknown format or
/// reward), io.
Result<int> export_rl(const Store& store, RunStore& runs, const ExportOptions& options,
                      const std::function<void(const std::string&)>& line);

}  // namespace assay
