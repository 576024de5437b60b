// Samples and runs made by hand, for tests of statistics.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/run_report.h"

namespace assay {

inline ReportSample sample(const std::string& task, Outcome outcome,
                           std::optional<double> speedup = {}) {
  ReportSample made;
  made.result.task_id = task;
  made.result.suite = "s";
  made.result.state = SampleState::done;
  made.result.outcome = outcome;
  made.result.turns = 1;
  made.result.tokens = 10;
  made.result.cost_dollars = 0.5;
  if (speedup) {
    made.speed.emplace();
    made.speed->speedup = *speedup;
    made.speed->interval = {*speedup * 0.9, *speedup * 1.1};
  }
  return made;
}

inline ReportData data_of(std::vector<ReportSample> samples) {
  ReportData data;
  data.runs.emplace_back().label = "agent";
  data.runs[0].samples = std::move(samples);
  return data;
}

}  // namespace assay
