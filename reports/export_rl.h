// Runs as training data: one JSON line a turn.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/score/returns.h"
#include "reports/run_store.h"

namespace assay {

/// Shapes of a line: "assay" (all facts), "chat" (prompt and completion as lists of messages),
/// "text" (prompt and completion as text). A new one is a function in one list.
const std::vector<std::string>& export_formats();

struct ExportOptions {
  std::string format = "assay";
  std::string reward = "assay-v1";        // a name, or a file (evaluator/score/rewards.h)
  double discount = 0.4;                  // of later turns in `return`
  bool maximum = false;                   // `return` is the discounted maximum instead of the sum
  Advantage advantage = Advantage::none;  // of returns, among a task's samples at the same turn
};

/// Calls `line` for each turn with a verdict, sample by sample. Errors: usage (unknown format or
/// reward), io.
Result<int> export_rl(const Store& store, RunStore& runs, const ExportOptions& options,
                      const std::function<void(const std::string&)>& line);

}  // namespace assay
