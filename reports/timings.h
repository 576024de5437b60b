// The store's tables of timed cases.
#pragma once

#include <cstdint>
#include <map>

#include "base/result.h"
#include "evaluator/evaluate.h"

struct sqlite3;

namespace assay {

/// What a timed case came to.
struct CaseSpeed {
  /// How one process's measurement went.
  struct Process {
    std::string budget, stop_reason, verdict;
    uint32_t blocks = 0, rejected_blocks = 0;
    double clock_ratio = 0;
    double gpu_ms = 0, wall_ms = 0, setup_ms = 0, warm_up_ms = 0, refresh_ms = 0, verify_ms = 0;
  };
  std::vector<Process> processes;
  double candidate_us = 0;        // median time of a call
  double baseline_us = 0;         // of naive.cu
  double empty_call_us = 0;       // of empty kernels of the same shape
  Speedup speedup;                // over naive; 0: no number
  std::optional<Speedup> expert;  // the expert's over naive
  double limit_us = 0;            // least time by the data sheet; 0: not known
  double reachable_us = 0;        // by `assay calibrate`; 0: not calibrated
};

/// The script that adds the tables (schema 2).
extern const char* const kTimingTables;

/// Part of a transaction of the store.
Result<void> add_timing(sqlite3* database, int64_t case_id, const CaseTiming& timing);

/// By case id, for all cases of an evaluation.
Result<std::map<int64_t, CaseSpeed>> read_speeds(sqlite3* database, int64_t evaluation_id);

}  // namespace assay
