// The tables of evaluations: version 1 of the store's schema, and what later versions added.
#pragma once

namespace assay {

inline constexpr const char* kEvaluationSchema = R"sql(
CREATE TABLE facts (
  digest TEXT PRIMARY KEY,
  json TEXT NOT NULL            -- device, isolation, toolchain of the machine
);
CREATE TABLE evaluations (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  task_id TEXT NOT NULL,
  task_digest TEXT NOT NULL,
  candidate TEXT NOT NULL,
  source_digest TEXT NOT NULL,  -- of the candidate as given
  code_digest TEXT NOT NULL,    -- of what was compiled: a blob
  extraction TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  explanation TEXT NOT NULL,
  device_id TEXT NOT NULL,
  arch TEXT NOT NULL,
  toolchain TEXT NOT NULL,
  artifact_key TEXT NOT NULL,
  artifact_from_cache INTEGER NOT NULL,
  compile_log_digest TEXT NOT NULL,  -- a blob, or empty
  options TEXT NOT NULL,
  facts_digest TEXT NOT NULL REFERENCES facts(digest),
  started_at TEXT NOT NULL,     -- UTC, ISO 8601
  compile_ms REAL NOT NULL,
  wall_ms REAL NOT NULL
);
CREATE INDEX evaluations_by_task ON evaluations(task_id, candidate);
CREATE TABLE diagnostics (
  evaluation_id INTEGER NOT NULL REFERENCES evaluations(id) ON DELETE CASCADE,
  severity TEXT NOT NULL,
  line INTEGER NOT NULL,        -- in the candidate's file; 0: none
  column INTEGER NOT NULL,
  message TEXT NOT NULL
);
CREATE TABLE kernels (
  evaluation_id INTEGER NOT NULL REFERENCES evaluations(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  demangled TEXT NOT NULL,
  registers INTEGER NOT NULL,   -- per thread
  spill_store_bytes INTEGER NOT NULL,
  spill_load_bytes INTEGER NOT NULL,
  stack_bytes INTEGER NOT NULL,
  static_shared_bytes INTEGER NOT NULL
);
CREATE TABLE cases (
  id INTEGER PRIMARY KEY,
  evaluation_id INTEGER NOT NULL REFERENCES evaluations(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  role TEXT NOT NULL,           -- test, timed
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  explanation TEXT NOT NULL,
  source_line INTEGER NOT NULL,
  seed TEXT NOT NULL,           -- 16 hexadecimal digits; secret while the run goes on
  plan_digest TEXT NOT NULL,
  plan_blob TEXT NOT NULL,      -- a blob, or empty
  record_ms REAL NOT NULL,
  candidate_ms REAL NOT NULL,
  check_ms REAL NOT NULL,
  printed TEXT NOT NULL,
  solve_output TEXT NOT NULL,
  notes TEXT NOT NULL           -- one a line
);
CREATE INDEX cases_by_evaluation ON cases(evaluation_id);
CREATE TABLE comparisons (
  case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
  tensor TEXT NOT NULL,
  elements INTEGER NOT NULL,
  mismatches INTEGER NOT NULL,
  nonfinite_mismatches INTEGER NOT NULL,
  first_index INTEGER,
  worst_index INTEGER,
  max_absolute REAL,
  max_bound_ratio REAL,
  rel_frobenius REAL
);
CREATE INDEX comparisons_by_case ON comparisons(case_id);
CREATE TABLE launches (
  case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  kernel TEXT NOT NULL,
  lane_instructions INTEGER NOT NULL,
  warp_instructions INTEGER NOT NULL,
  global_load_sectors INTEGER NOT NULL,
  global_store_sectors INTEGER NOT NULL,
  shared_bank_conflicts INTEGER NOT NULL,
  uninitialised_shared_reads INTEGER NOT NULL,
  elapsed_ms REAL NOT NULL
);
CREATE INDEX launches_by_case ON launches(case_id);
)sql";

/// Version 4. JSON of evaluator/plan/summary.h; empty: nothing was recorded, or by an older assay.
inline constexpr const char* kPlanSummaries =
    "ALTER TABLE cases ADD COLUMN plan_summary TEXT NOT NULL DEFAULT '';";

/// Version 6. "cuda" or "triton".
inline constexpr const char* kLanguageColumn =
    "ALTER TABLE evaluations ADD COLUMN language TEXT NOT NULL DEFAULT 'cuda';";

/// Version 7: what belongs to an evaluation is found without reading all others'.
inline constexpr const char* kEvaluationIndexes =
    "CREATE INDEX diagnostics_by_evaluation ON diagnostics(evaluation_id);"
    "CREATE INDEX kernels_by_evaluation ON kernels(evaluation_id);";

/// Version 8. Of a correct test case: 0 where the plan's copies alone pass it; null: not known.
inline constexpr const char* kKernelsNeeded =
    "ALTER TABLE cases ADD COLUMN kernels_needed INTEGER;";

}  // namespace assay
