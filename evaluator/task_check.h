// The rules a task must meet before anybody is judged by it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/evaluate.h"

namespace assay {

/// One rule of one task, held or broken.
struct TaskFinding {
  bool ok = false;
  std::string rule;    // "agreement", "sensitivity", "seed", "spread", "finite"
  std::string detail;  // case, tensor, what was seen and what to do
};

struct TaskCheck {
  std::string task_id;
  std::vector<TaskFinding> findings;
  double margin = 0;  // largest error of naive and expert over its bound; below 0.5 leaves a
                      // factor of two to spare
  bool passed() const;
};

/// Checks on the test cases fit for the evaluator's device:
/// - agreement: naive.cu and expert.cu are correct against reference.cu,
/// - sensitivity: each input changes some output when it alone is drawn anew, in some case,
/// - seed: another seed gives other outputs,
/// - spread: no floating output is almost constant, no output is all equal,
/// - finite: floating outputs are finite, unless the task says otherwise.
/// An Error is trouble of ours.
Result<TaskCheck> check_task(Evaluator& evaluator, const Task& task,
                             const StageListener& listener = {});

}  // namespace assay
