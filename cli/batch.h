// Evaluates a list of candidates, several at once, into a run directory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/evaluate.h"
#include "reports/store.h"
#include "tasks/task.h"

namespace assay {

struct BatchItem {
  const Task* task = nullptr;
  Candidate candidate;
  std::vector<std::string> cases = {};  // instead of those of the options; empty: those
};

struct BatchOptions {
  Evaluator::Options evaluator;
  EvaluateOptions evaluate;
  int jobs = 0;                // evaluations at once; 0: one a core
  std::filesystem::path dump;  // not empty: inputs, expected values and outputs go here as .npy
};

/// Evaluates what the store does not hold yet and returns the summaries of all items in their
/// order. An Error means that nothing more could be done (store, toolchain, device); what was
/// evaluated before it is in the store.
Result<std::vector<EvaluationSummary>> run_batch(const std::vector<BatchItem>& items,
                                                 const BatchOptions& options, Store& store);

/// <current folder>/runs/<UTC time>-<what>.
std::filesystem::path default_run_folder(const std::string& what);

}  // namespace assay
