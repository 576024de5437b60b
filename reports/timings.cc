#include "reports/timings.h"

#include <cmath>

#include "reports/statement.h"

namespace assay {

const char* const kTimingTables = R"sql(
CREATE TABLE timings (
  case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
  process INTEGER NOT NULL,     -- 0 ..., where a budget asks for several
  budget TEXT NOT NULL,
  candidate_us REAL NOT NULL,   -- time of a call: median, quartiles, least; calls of a burst
  candidate_q1_us REAL NOT NULL,
  candidate_q3_us REAL NOT NULL,
  candidate_min_us REAL NOT NULL,
  candidate_calls INTEGER NOT NULL,
  baseline_us REAL NOT NULL,
  baseline_q1_us REAL NOT NULL,
  baseline_q3_us REAL NOT NULL,
  baseline_min_us REAL NOT NULL,
  baseline_calls INTEGER NOT NULL,
  empty_call_us REAL NOT NULL,
  speedup REAL NOT NULL,        -- over naive.cu, with its 95 % interval; 0: no number
  speedup_low REAL NOT NULL,
  speedup_high REAL NOT NULL,
  autocorrelation REAL NOT NULL,
  blocks INTEGER NOT NULL,
  rejected_blocks INTEGER NOT NULL,
  stop_reason TEXT NOT NULL,
  verdict TEXT NOT NULL,
  violation_reason TEXT NOT NULL,
  violation TEXT NOT NULL,
  clock_ratio REAL NOT NULL,    -- candidate over baseline; 0: not measured
  gpu_ms REAL NOT NULL,         -- timed work
  wall_ms REAL NOT NULL,        -- all of it; of that:
  setup_ms REAL NOT NULL,
  warm_up_ms REAL NOT NULL,
  refresh_ms REAL NOT NULL,
  verify_ms REAL NOT NULL
);
CREATE INDEX timings_by_case ON timings(case_id);
CREATE TABLE timing_samples (   -- every burst, in the order taken
  case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
  process INTEGER NOT NULL,
  side TEXT NOT NULL,           -- baseline, candidate, ruler
  block INTEGER NOT NULL,
  position INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  elapsed_ms REAL NOT NULL,
  frequency_mhz REAL NOT NULL,
  accepted INTEGER NOT NULL
);
CREATE INDEX timing_samples_by_case ON timing_samples(case_id);
CREATE TABLE speeds (           -- what all processes agree on, as natural logarithms
  case_id INTEGER PRIMARY KEY REFERENCES cases(id) ON DELETE CASCADE,
  log_speedup REAL NOT NULL,    -- over naive.cu
  log_low REAL NOT NULL,
  log_high REAL NOT NULL,
  expert_log_speedup REAL,      -- the expert's over naive.cu; NULL: none
  expert_log_low REAL,
  expert_log_high REAL,
  limit_us REAL NOT NULL,       -- least time by the data sheet; 0: not known
  reachable_us REAL NOT NULL    -- by the device's calibration; 0: not calibrated
);
)sql";

namespace {

Statement& operator<<(Statement& insert, const CallTime& time) {
  return insert << time.median_us << time.low_quartile_us << time.high_quartile_us << time.min_us
                << time.calls;
}

const char* side_name(Side side) {
  if (side == Side::ruler) return "ruler";
  return side == Side::baseline ? "baseline" : "candidate";
}

Result<void> add_process(sqlite3* database, int64_t case_id, int process,
                         const TimingReport& report) {
  Statement insert(database,
                   "INSERT INTO timings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                   " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const TimingViolation violation = report.violation.value_or(TimingViolation{});
  insert << case_id << process << report.budget;
  insert << report.candidate << report.baseline;
  insert << report.empty_call_us << report.speedup << report.speedup_interval.low
         << report.speedup_interval.high << report.autocorrelation << report.blocks
         << report.rejected_blocks << report.stop_reason << report.verdict << violation.reason
         << violation.explanation << report.clock_ratio << report.gpu_ms << report.wall_ms
         << report.setup_ms << report.warm_up_ms << report.refresh_ms << report.verify_ms;
  RETURN_IF_ERROR(insert.run());
  for (const TimingSample& sample : report.samples) {
    Statement row(database, "INSERT INTO timing_samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    row << case_id << process << side_name(sample.side) << sample.block << sample.position
        << sample.calls << sample.elapsed_ms << sample.frequency_mhz
        << static_cast<int>(sample.accepted);
    RETURN_IF_ERROR(row.run());
  }
  return {};
}

Speedup speedup_from(const Statement& query, int column) {
  return {std::exp(query.real(column)),
          {std::exp(query.real(column + 1)), std::exp(query.real(column + 2))}};
}

}  // namespace

Result<void> add_timing(sqlite3* database, int64_t case_id, const CaseTiming& timing) {
  for (size_t process = 0; process < timing.processes.size(); ++process)
    RETURN_IF_ERROR(
        add_process(database, case_id, static_cast<int>(process), timing.processes[process]));
  if (!(timing.speedup.value > 0)) return {};
  Statement insert(
      database, timing.expert ? "INSERT INTO speeds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                              : "INSERT INTO speeds VALUES (?, ?, ?, ?, NULL, NULL, NULL, ?, ?)");
  const auto logs = [&](const Speedup& speedup) {
    insert << std::log(speedup.value) << std::log(speedup.interval.low)
           << std::log(speedup.interval.high);
  };
  insert << case_id;
  logs(timing.speedup);
  if (timing.expert) logs(*timing.expert);
  insert << timing.limit_us << timing.reachable_us;
  return insert.run();
}

namespace {

Result<void> read_processes(sqlite3* database, int64_t evaluation_id,
                            std::map<int64_t, CaseSpeed>& speeds) {
  Statement query(
      database,
      "SELECT t.case_id, budget, stop_reason, verdict, blocks, rejected_blocks, clock_ratio, "
      "gpu_ms,"
      " wall_ms, setup_ms, warm_up_ms, refresh_ms, verify_ms, candidate_us, baseline_us,"
      " empty_call_us FROM timings t JOIN cases c ON c.id = t.case_id WHERE c.evaluation_id = ?"
      " ORDER BY t.case_id, process");
  query << evaluation_id;
  while (query.step()) {
    CaseSpeed& speed = speeds[query.integer(0)];
    CaseSpeed::Process process{query.text(1),
                               query.text(2),
                               query.text(3),
                               static_cast<uint32_t>(query.integer(4)),
                               static_cast<uint32_t>(query.integer(5)),
                               query.real(6),
                               query.real(7),
                               query.real(8),
                               query.real(9),
                               query.real(10),
                               query.real(11),
                               query.real(12)};
    speed.processes.push_back(std::move(process));
    // The mean of the processes' medians.
    const auto count = static_cast<double>(speed.processes.size());
    const auto add = [&](double& mean, int column) { mean += (query.real(column) - mean) / count; };
    add(speed.candidate_us, 13);
    add(speed.baseline_us, 14);
    add(speed.empty_call_us, 15);
  }
  return query.error();
}

}  // namespace

Result<std::map<int64_t, CaseSpeed>> read_speeds(sqlite3* database, int64_t evaluation_id) {
  std::map<int64_t, CaseSpeed> speeds;
  RETURN_IF_ERROR(read_processes(database, evaluation_id, speeds));
  Statement query(database,
                  "SELECT s.case_id, log_speedup, log_low, log_high, expert_log_speedup,"
                  " expert_log_low, expert_log_high, limit_us, reachable_us"
                  " FROM speeds s JOIN cases c ON c.id = s.case_id WHERE c.evaluation_id = ?");
  query << evaluation_id;
  while (query.step()) {
    CaseSpeed& speed = speeds[query.integer(0)];
    speed.speedup = speedup_from(query, 1);
    if (!query.is_null(4)) speed.expert = speedup_from(query, 4);
    speed.limit_us = query.real(7);
    speed.reachable_us = query.real(8);
  }
  RETURN_IF_ERROR(query.error());
  return speeds;
}

}  // namespace assay
