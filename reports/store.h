// The store: one run directory with a SQLite file (results.sqlite, WAL) and content-addressed
// blobs. Raw facts only; scores are computed from them. The schema is in docs/store.md.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "evaluator/evaluate.h"
#include "reports/timings.h"

struct sqlite3;

namespace assay {

/// One row for tables: an evaluation, summed up.
struct EvaluationSummary {
  int64_t id = 0;
  std::string task_id;
  std::string task_digest;
  std::string candidate;
  std::string language;  // "cuda", "triton"
  Outcome outcome = Outcome::harness_error;
  std::string reason;
  std::string explanation;
  std::string device_id;
  int cases_correct = 0;
  int cases_total = 0;
  double max_bound_ratio = 0;  // largest error over its bound; below 1 is inside
  uint64_t lane_instructions = 0;
  double compile_ms = 0;
  double check_ms = 0;  // all cases
  double wall_ms = 0;
  // Of a correct candidate with timed cases: geometric means over them, and the mean share of what
  // the data sheet allows.
  std::optional<double> speedup;  // over naive
  std::optional<double> speedup_over_expert;
  std::optional<double> speed_of_light;
  std::string started_at;     // UTC, ISO 8601
  std::string source_digest;  // of the code: blob(source_digest)
  std::string compile_log_digest;
};

/// One case of an evaluation, for details.
struct CaseSummary {
  std::string name;
  Outcome outcome = Outcome::harness_error;
  std::string reason;
  std::string explanation;
  double max_bound_ratio = 0;
  uint64_t lane_instructions = 0;
  uint64_t global_sectors = 0;
  uint64_t shared_bank_conflicts = 0;
  double record_ms = 0;
  double check_ms = 0;
  std::optional<CaseSpeed> speed;
  std::string notes;                   // what else was seen, one a line
  std::optional<PlanSummary> plan;     // absent: nothing was recorded, or by an older assay
  std::optional<bool> kernels_needed;  // CaseResult::kernels_needed
};

/// "note", "warning" or "error".
const char* name(Diagnostic::Severity severity);

/// What identifies an evaluation: asked for again, it need not be done again.
struct EvaluationKey {
  std::string task_digest;    // of the task's folder and its reference kernel
  std::string source_digest;  // of the candidate as given
  std::string candidate;      // its name
  std::string device_id;
  std::string arch;
  std::string options;  // cases, repeats, seed: whatever changes the answer
  std::string digest() const;
};

class Store {
 public:
  static constexpr int kSchemaVersion = 8;

  /// Opens the run directory, creating it (and its parents) if need be. A store written by a newer
  /// assay is an error; an older one is migrated. Errors (io) name the path and what to do.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder);
  ~Store();

  const std::filesystem::path& folder() const { return folder_; }

  /// Keeps `content` under its SHA-256, which is returned. Writing it again is free.
  Result<std::string> put_blob(std::string_view content);
  Result<std::string> blob(const std::string& digest) const;

  /// One transaction: all of the evaluation or nothing. `facts_json` holds the machine's facts
  /// (device, isolation), stored once. An earlier harness_error of the same key is replaced.
  Result<int64_t> add(const EvaluationKey& key, const Evaluation& evaluation,
                      const std::string& facts_json);

  /// The evaluation of this key, if it is there and is not a harness_error.
  Result<std::optional<EvaluationSummary>> find(const EvaluationKey& key) const;
  Result<std::optional<EvaluationSummary>> find(int64_t evaluation_id) const;
  /// The same by EvaluationKey::digest(), without reading anything else.
  Result<std::optional<int64_t>> find_id(const std::string& key_digest) const;
  Result<std::vector<EvaluationSummary>> evaluations() const;
  Result<std::vector<Diagnostic>> diagnostics(int64_t evaluation_id) const;
  /// The evaluations that have any.
  Result<std::unordered_set<int64_t>> with_diagnostics() const;
  Result<std::vector<CaseSummary>> cases(int64_t evaluation_id) const;
  /// Without parameters and max_threads, which are not stored.
  Result<std::vector<Kernel>> kernels(int64_t evaluation_id) const;

  /// For the other tables of this folder (run_store.h): the connection, to be used under the lock.
  sqlite3* connection() const { return database_; }
  std::mutex& connection_mutex() const { return mutex_; }

 private:
  explicit Store(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Result<void> migrate();
  /// Rows that meet `where` (SQL with at most one parameter), by id.
  template <typename... Argument>
  Result<std::vector<EvaluationSummary>> select(const std::string& where,
                                                const Argument&... argument) const;

  std::filesystem::path folder_;
  sqlite3* database_ = nullptr;
  mutable std::mutex mutex_;  // one statement at a time on the connection
};

}  // namespace assay
