// Results of a run for people (a table) and for programs (JSON lines).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "reports/store.h"

namespace assay {

/// Columns: task, candidate, language (where there are two), verdict, reason, cases, error (largest
/// error over its bound), cost (lane-instructions and wall time), explanation. `width` as in
/// Table::text.
std::string results_table(const std::vector<EvaluationSummary>& rows, size_t width);

/// One evaluation with its cases and diagnostics, read from the store. docs/store.md names the
/// fields.
Result<nlohmann::json> result_json(const Store& store, const EvaluationSummary& row);

}  // namespace assay
