// Two runs on the tasks that both have. What is compared is paired by task, which removes the
// tasks' own difficulty from the difference; two separate intervals compared by eye do not.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reports/run_report.h"

namespace assay {

struct PairedMeasure {
  std::string name;
  bool ratio = false;             // a over b, computed on logarithms; else the difference a - b
  statistics::Estimate estimate;  // over `count` tasks, with Student's interval
  std::optional<double>
      correlation;  // of the tasks' values; absent below 3 tasks or without spread
};

struct RunComparison {
  std::string a, b;
  Language language_a = Language::cuda, language_b = Language::cuda;
  int tasks = 0;
  std::vector<PairedMeasure> measures;  // pass@1 first; the others where they are known
  int wins = 0, losses = 0, ties = 0;   // of a, by the tasks' pass@1
  double sign_p = 1;
};

/// not_found where the runs share no task with verdicts.
Result<RunComparison> compare_runs(const ReportRun& a, const ReportRun& b);

std::string comparison_text(const RunComparison& comparison, size_t width);
nlohmann::json to_json(const RunComparison& comparison);

}  // namespace assay
