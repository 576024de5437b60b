// A run as an argument of a command: "DIR", or "DIR@AGENT" where a directory holds several.
#pragma once

#include <string>

#include "reports/run_report.h"

namespace assay {

/// Its label then names the folder too. usage: the folder holds several agents, or not that one.
Result<ReportRun> chosen_run(const std::string& text);

}  // namespace assay
