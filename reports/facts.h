// What is stored with evaluations besides their results: the machine, and the options that shape
// an answer. Also the way back from the store.
#pragma once

#include <string>

#include "base/result.h"
#include "evaluator/evaluate.h"
#include "reports/store.h"

namespace assay {

/// Whatever of the options changes an evaluation's answer, as stable text.
std::string options_text(const EvaluateOptions& options);

/// The machine (device, toolchain, isolation) as JSON.
std::string facts_json(const Evaluator& evaluator);

/// A stored evaluation as far as feedback needs it: verdict, diagnostics, and of each case the
/// verdict and comparisons.
Result<Evaluation> read_evaluation(const Store& store, const EvaluationSummary& summary);

}  // namespace assay
