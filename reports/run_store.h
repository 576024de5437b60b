// Runs in the store: which samples were asked for, every turn of each with its exact bytes, and
// every attempt at an API. The tables are in run_schema.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reports/store.h"

namespace assay {

/// One agent on one suite with one loop.
struct RunRow {
  int64_t id = 0;
  std::string key;
  std::string agent;
  std::string loop;
  std::string suite;
  std::string settings;  // JSON
  std::string command;   // JSON
  std::string device_id;
  std::string arch;
  std::string started_at;
  double charged_seconds = 0;
  std::string stopped;
};

/// What its candidates were asked for in, as its settings say; before there was a choice, cuda.
Language language_of(const RunRow& run);

enum class SampleState { running, done, failed };
const char* name(SampleState state);

struct SampleRow {
  int64_t id = 0;
  int64_t run_id = 0;
  std::string task_id;
  std::string suite;
  int level = 1;
  int number = 0;
  SampleState state = SampleState::running;
  std::string failure_class;  // "infra", "infra_ambiguous", "request_refused"
  std::string failure;
  std::optional<int64_t> best_turn_id;
};

struct TurnRow {
  int64_t id = 0;
  int64_t sample_id = 0;
  int number = 0;
  int parent = -1;
  std::string kind;
  int island = 0;
  std::string prompt_digest;
  std::string request_digest;
  std::string answer_digest;
  std::string reasoning_digest;
  std::string finish;
  std::string extraction;
  std::optional<int64_t> evaluation_id;
  std::string outcome;
  std::string feedback_digest;
  bool cached = false;
  int64_t tokens = 0;
  int64_t output_tokens = 0;
  std::optional<double> cost_dollars;
  double seconds = 0;
  double waiting_seconds = 0;
  double device_seconds = 0;
  std::string served_model;
  std::string fingerprint;
  std::string response_id;
};

struct AttemptRow {
  int64_t status = 0;
  std::string request_id;
  std::string failure_class;
  std::string failure;
  double seconds = 0;
  double waited_seconds = 0;
  std::optional<int64_t> input_uncached, input_cache_read, input_cache_write, output_visible,
      output_reasoning;
  std::string raw_usage;
  std::optional<double> cost_dollars;
};

/// What reports need of one sample.
struct SampleResult {
  int64_t sample_id = 0;
  std::string task_id;
  std::string suite;
  int level = 1;
  int number = 0;
  SampleState state = SampleState::running;
  std::string failure_class;
  Outcome outcome = Outcome::harness_error;  // done: of the best turn
  std::string reason;
  std::string explanation;  // failed: what the trouble was
  std::string finish;       // how the best turn's answer ended: "stop", "length", "refusal" ...
  std::optional<int64_t> evaluation_id;
  std::optional<int64_t> retest_id;  // its evaluation decides over outcome, reason, explanation
  std::string code_digest;
  int turns = 0;
  int64_t tokens = 0;
  int64_t output_tokens = 0;
  std::optional<double> cost_dollars;  // absent where a turn's cost is unknown
  double seconds = 0;
};

/// What was used up, by answers and by attempts that came to nothing.
struct Spent {
  int64_t samples = 0;  // that were begun
  int64_t turns = 0;
  int64_t tokens = 0;
  double dollars = 0;
  double device_seconds = 0;
  double asking_seconds = 0;  // without waits for retries and rate limits
};

/// How far a run is, in samples.
struct RunTally {
  int samples = 0;  // that were begun
  int done = 0;
  int failed = 0;
  int correct = 0;  // of the done ones
};

/// Thread-safe. The Store must outlive it.
class RunStore {
 public:
  explicit RunStore(Store& store) : store_(store) {}
  Store& store() const { return store_; }

  /// The run with this key, added if it is new. `command` is brought up to date.
  Result<RunRow> open_run(const RunRow& wanted);
  Result<void> set_progress(int64_t run_id, double charged_seconds, const std::string& stopped);
  Result<std::vector<RunRow>> runs() const;
  /// By run id; runs without samples are not in it.
  Result<std::map<int64_t, RunTally>> tallies() const;

  /// The sample of this run, task and number, added if it is new.
  Result<SampleRow> open_sample(const SampleRow& wanted);
  Result<void> update_sample(const SampleRow& sample);
  Result<std::vector<SampleRow>> samples(int64_t run_id) const;
  Result<std::optional<SampleRow>> sample(int64_t id) const;

  /// One transaction; sets the row's id.
  Result<void> add_turn(TurnRow& turn, const std::vector<AttemptRow>& attempts);
  Result<void> add_failed_attempts(int64_t sample_id, const std::vector<AttemptRow>& attempts);
  /// Writes evaluation_id, outcome, feedback_digest and device_seconds.
  Result<void> set_judged(const TurnRow& turn);
  Result<std::vector<TurnRow>> turns(int64_t sample_id) const;

  /// `retest_id` is what reports are to use instead of `evaluation_id`.
  Result<void> set_retest(int64_t evaluation_id, int64_t retest_id);

  /// By task.
  Result<std::map<std::string, Spent>> spent(int64_t run_id) const;
  Result<std::vector<SampleResult>> results(int64_t run_id) const;

  /// Forgets the evaluations with this outcome, so that the run does them again; the answers stay.
  /// How many samples are to be gone on with.
  Result<int> reopen(Outcome outcome);

 private:
  Store& store_;
};

}  // namespace assay
