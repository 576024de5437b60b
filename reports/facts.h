// What is stored with evaluations besides their results: the machine, and the options that shape
// an answer. Also the way back from the store.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "evaluator/evaluate.h"
#include "reports/store.h"

namespace assay {

/// Whatever of the options changes an evaluation's answer, as stable text.
std::string options_text(const EvaluateOptions& options);

/// The machine (device, toolchain, isolation) as JSON.
std::string facts_json(const Evaluator& evaluator);

/// What this machine's sandbox is: tier, mechanisms, and what is missing with reasons.
nlohmann::json isolation_json();

/// What the sandbox of a stored evaluation was, as facts_json() wrote it down; null where nothing
/// was.
Result<nlohmann::json> isolation_of(const Store& store, int64_t evaluation_id);

/// The same in one line for people: "tier 1 (namespaces), Landlock ABI 7, cgroup v2", then what was
/// missing.
std::string isolation_text(const nlohmann::json& isolation);

/// A stored evaluation as far as feedback needs it: verdict, diagnostics, and of each case the
/// verdict and comparisons.
Result<Evaluation> read_evaluation(const Store& store, const EvaluationSummary& summary);

}  // namespace assay
