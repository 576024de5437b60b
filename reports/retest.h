// Which candidates deserve a second measurement before they are reported.
//
// The fastest of many equally fast candidates is the one whose noise was luckiest: at 2 % noise
// the best of 100 looks 5 % faster than it is. So what is selected by a measurement is reported by
// another one: assay retest times the winners again in new processes with new inputs, the store
// keeps that as an evaluation of its own beside the first, and reports use the second alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reports/run_report.h"

namespace assay {

struct Winner {
  int64_t evaluation_id = 0;
  std::string task_id;
  Speed first;
  std::optional<int64_t> retest_id;  // where it was done already
};

struct WinnerOptions {
  size_t best = 3;   // of each task at least, by the first measurement
  size_t most = 10;  // of each task, with those whose interval overlaps the best one's
};

/// Of each task of the run, the fastest first. Equal code is listed once.
std::vector<Winner> winners(const ReportRun& run, const WinnerOptions& options);

}  // namespace assay
