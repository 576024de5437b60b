// The tables of runs: version 3 of the store's schema, and what later versions added.
#pragma once

namespace assay {

inline constexpr const char* kRunSchema = R"sql(
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,      -- of everything that shapes its answers
  agent TEXT NOT NULL,
  loop TEXT NOT NULL,
  suite TEXT NOT NULL,
  settings TEXT NOT NULL,        -- JSON: the agent's, the loop's, the language, the prompts' digest;
                                 -- no secrets
  command TEXT NOT NULL,         -- JSON: the arguments, to go on later
  device_id TEXT NOT NULL,
  arch TEXT NOT NULL,
  started_at TEXT NOT NULL,      -- UTC, ISO 8601
  charged_seconds REAL NOT NULL DEFAULT 0,  -- wall time without waits for rate limits
  stopped TEXT NOT NULL DEFAULT ''          -- why it is not finished, for people
);
CREATE TABLE samples (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  task_id TEXT NOT NULL,
  suite TEXT NOT NULL,
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,       -- of the task's samples, from 0
  state TEXT NOT NULL,           -- running, done, failed
  failure_class TEXT NOT NULL DEFAULT '',   -- failed: infra, infra_ambiguous, request_refused
  failure TEXT NOT NULL DEFAULT '',
  best_turn_id INTEGER,          -- done: the turn that speaks for the sample
  UNIQUE (run_id, task_id, number)
);
CREATE TABLE turns (
  id INTEGER PRIMARY KEY,
  sample_id INTEGER NOT NULL REFERENCES samples(id) ON DELETE CASCADE,
  number INTEGER NOT NULL,       -- in the sample, from 0
  parent INTEGER NOT NULL,       -- number of the turn it continues; -1: none
  kind TEXT NOT NULL,            -- draft, refine, debug, improve, reflect, cross
  island INTEGER NOT NULL,
  prompt_digest TEXT NOT NULL,   -- a blob: system text and messages as JSON
  request_digest TEXT NOT NULL,  -- a blob: the exact body sent, or empty
  answer_digest TEXT NOT NULL,   -- a blob
  reasoning_digest TEXT NOT NULL,           -- a blob, or empty
  finish TEXT NOT NULL,
  extraction TEXT NOT NULL,      -- how the code was found; empty for turns without code
  evaluation_id INTEGER,         -- null: not evaluated yet, or a turn without code
  outcome TEXT NOT NULL DEFAULT '',
  feedback_digest TEXT NOT NULL DEFAULT '', -- a blob: JSON with version, facts and the text shown
  cached INTEGER NOT NULL,
  tokens INTEGER NOT NULL,       -- of all attempts
  output_tokens INTEGER NOT NULL,
  cost_dollars REAL,             -- null: unknown
  seconds REAL NOT NULL,
  waiting_seconds REAL NOT NULL, -- of these: for retries and rate limits
  device_seconds REAL NOT NULL DEFAULT 0,
  served_model TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  response_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (sample_id, number)
);
CREATE INDEX turns_by_evaluation ON turns(evaluation_id);
CREATE TABLE responses (         -- one attempt at an API, answered or not
  turn_id INTEGER REFERENCES turns(id) ON DELETE CASCADE,      -- null: the sample failed
  sample_id INTEGER NOT NULL REFERENCES samples(id) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  status INTEGER NOT NULL,
  request_id TEXT NOT NULL,
  failure_class TEXT NOT NULL,   -- empty: answered
  failure TEXT NOT NULL,
  seconds REAL NOT NULL,
  waited_seconds REAL NOT NULL,
  input_uncached INTEGER,        -- null: not told
  input_cache_read INTEGER,
  input_cache_write INTEGER,
  output_visible INTEGER,
  output_reasoning INTEGER,
  raw_usage TEXT NOT NULL,
  cost_dollars REAL
);
CREATE INDEX responses_by_turn ON responses(turn_id);
CREATE INDEX responses_by_sample ON responses(sample_id);
)sql";

/// Version 5: winners that were timed a second time (reports/retest.h).
inline constexpr const char* kRetests = R"sql(
CREATE TABLE retests (
  evaluation_id INTEGER PRIMARY KEY REFERENCES evaluations(id) ON DELETE CASCADE,  -- the first
  retest_id INTEGER NOT NULL REFERENCES evaluations(id) ON DELETE CASCADE
);
CREATE INDEX retests_by_retest ON retests(retest_id);
)sql";

}  // namespace assay
