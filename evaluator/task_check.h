// The rules a task must meet before anybody is judged by it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/evaluate.h"
#include "evaluator/kernel_mutants.h"

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

/// What became of the generic faults that mutate_kernel puts into a task's reference.cu.
struct MutantCheck {
  int killed = 0;                       // judged anything but correct
  int stillborn = 0;                    // did not compile; not counted
  std::vector<KernelMutant> survivors;  // judged correct: equal to the reference on all inputs, or
                                        // a case is missing
  int counted() const { return killed + static_cast<int>(survivors.size()); }
};

/// Judges at most `most` mutants as candidates, on the test cases fit for the evaluator's device.
/// An Error is trouble of ours.
Result<MutantCheck> check_mutants(Evaluator& evaluator, const Task& task, size_t most,
                                  const StageListener& listener = {});

}  // namespace assay
