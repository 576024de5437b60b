// Runs as one self-contained HTML page: sortable table, charts, each sample's code and diagnostics.
#pragma once

#include <string>

#include "base/result.h"
#include "reports/run_report.h"

namespace assay {

struct PageOptions {
  std::string title = "assay report";
  size_t details_bytes = size_t{10} << 20;  // of code and messages, all samples together
};

/// Texts of candidates travel as JSON and are shown as text nodes, never as HTML. When the details
/// do not fit, wrong and fast samples go first and the page says how many were left out.
Result<std::string> run_page(const ReportData& data, const std::vector<ReportRow>& rows,
                             const PageOptions& options);

}  // namespace assay
