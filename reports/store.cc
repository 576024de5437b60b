// Theory of operation
//
// A run directory holds results.sqlite and blobs/. Every fact an evaluation produced is a row;
// texts that may be long or repeat (sources, compiler logs, plans) are files under
// blobs/<first two digits>/<sha256>, written to a temporary name and renamed, so a blob that exists
// is whole. An evaluation is added in one transaction after its blobs: a crash leaves at most
// unreferenced blobs. The key of an evaluation is unique, so that a second start of the same
// command finds what is done; a harness_error does not count as done.
//
// The schema's version is SQLite's user_version. Migrations are a list of scripts, each taking the
// database from version n to n + 1 inside one transaction.
#include "reports/store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/files.h"
#include "reports/evaluation_schema.h"
#include "reports/run_schema.h"
#include "reports/statement.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

const std::array<const char*, Store::kSchemaVersion> kMigrations = {
    kEvaluationSchema, kTimingTables,   kRunSchema,         kPlanSummaries,
    kRetests,          kLanguageColumn, kEvaluationIndexes, kKernelsNeeded};

Result<void> execute(sqlite3* database, const std::string& sql) {
  char* message = nullptr;
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message) == SQLITE_OK) return {};
  const std::string text = message ? message : "unknown error";
  sqlite3_free(message);
  return Error{ErrorKind::io, "the store's database: " + text};
}

Result<int64_t> schema_version(sqlite3* database) {
  Statement query(database, "PRAGMA user_version");
  int64_t version = 0;
  if (query.step()) version = query.integer(0);
  RETURN_IF_ERROR(query.error());
  return version;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace

const char* name(Diagnostic::Severity severity) {
  switch (severity) {
    case Diagnostic::Severity::note:
      return "note";
    case Diagnostic::Severity::warning:
      return "warning";
    case Diagnostic::Severity::error:
      return "error";
  }
  return "error";
}

namespace {

/// Names in it are the candidate's: bytes that are no UTF-8 are replaced.
std::string stored_text(const PlanSummary& plan) {
  return nlohmann::json(plan).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace

std::string EvaluationKey::digest() const {
  return Digest()
      .add(task_digest)
      .add(source_digest)
      .add(candidate)
      .add(device_id)
      .add(arch)
      .add(options)
      .hex();
}

Result<std::unique_ptr<Store>> Store::open(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder / "blobs", code);
  if (code)
    return Error{ErrorKind::io,
                 fmt::format("cannot create the run directory {}: {}; choose another with --out",
                             folder.string(), code.message())};
  std::unique_ptr<Store> store(new Store(folder));
  const fs::path file = folder / "results.sqlite";
  if (sqlite3_open_v2(file.c_str(), &store->database_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                      nullptr) != SQLITE_OK)
    return Error{ErrorKind::io, fmt::format("cannot open {}: {}", file.string(),
                                            sqlite3_errmsg(store->database_))};
  sqlite3_busy_timeout(store->database_, 10'000);
  RETURN_IF_ERROR(execute(store->database_,
                          "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                          "PRAGMA foreign_keys = ON;"
                          // Reports read all of a large store: mapped pages need no copies.
                          "PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -65536;"));
  RETURN_IF_ERROR(store->migrate());
  return store;
}

Store::~Store() { sqlite3_close(database_); }

Result<void> Store::migrate() {
  ASSIGN_OR_RETURN(int64_t version, schema_version(database_));
  if (version == kSchemaVersion) return {};
  RETURN_IF_ERROR(execute(database_, "BEGIN IMMEDIATE"));
  // Somebody else may have migrated it meanwhile.
  ASSIGN_OR_RETURN(version, schema_version(database_));
  if (version > kSchemaVersion) {
    RETURN_IF_ERROR(execute(database_, "ROLLBACK"));
    return Error{ErrorKind::invalid,
                 fmt::format("{} was written by a newer assay (schema {}, this one knows {}); use "
                             "that assay, or another --out",
                             folder_.string(), version, kSchemaVersion)};
  }
  for (; version < kSchemaVersion; ++version)
    RETURN_IF_ERROR(execute(database_, kMigrations[static_cast<size_t>(version)]));
  return execute(database_, fmt::format("PRAGMA user_version = {}; COMMIT", kSchemaVersion));
}

Result<std::string> Store::put_blob(std::string_view content) {
  const std::string digest = sha256(content);
  const fs::path parent = folder_ / "blobs" / digest.substr(0, 2);
  const fs::path path = parent / digest;
  std::error_code code;
  if (fs::exists(path, code)) return digest;
  fs::create_directories(parent, code);
  RETURN_IF_ERROR(write_file(path, content));
  return digest;
}

Result<std::string> Store::blob(const std::string& digest) const {
  if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos)
    return Error{ErrorKind::invalid, fmt::format("'{}' is not a blob's digest", digest)};
  return read_file(folder_ / "blobs" / digest.substr(0, 2) / digest);
}

namespace {

Result<void> add_diagnostics(sqlite3* database, int64_t evaluation_id,
                             const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    Statement insert(database, "INSERT INTO diagnostics VALUES (?, ?, ?, ?, ?)");
    insert << evaluation_id << name(diagnostic.severity) << diagnostic.line << diagnostic.column
           << diagnostic.message;
    RETURN_IF_ERROR(insert.run());
  }
  return {};
}

Result<void> add_kernels(sqlite3* database, int64_t evaluation_id,
                         const std::vector<Kernel>& kernels) {
  for (const Kernel& kernel : kernels) {
    Statement insert(database, "INSERT INTO kernels VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    insert << evaluation_id << kernel.name << kernel.demangled << kernel.registers
           << kernel.spill_store_bytes << kernel.spill_load_bytes << kernel.stack_bytes
           << kernel.static_shared_bytes;
    RETURN_IF_ERROR(insert.run());
  }
  return {};
}

Result<void> add_comparisons(sqlite3* database, int64_t case_id,
                             const std::vector<TensorComparison>& comparisons) {
  for (const TensorComparison& tensor : comparisons) {
    const Comparison& comparison = tensor.comparison;
    Statement insert(database,
                     "INSERT INTO comparisons VALUES (?, ?, ?, ?, ?, nullif(?, -1), nullif(?, -1),"
                     " ?, ?, ?)");
    const auto index = [](const std::optional<ElementError>& element) {
      return element ? static_cast<int64_t>(element->index) : int64_t{-1};
    };
    insert << case_id << tensor.tensor << comparison.elements << comparison.mismatches
           << comparison.nonfinite_mismatches << index(comparison.first) << index(comparison.worst)
           << comparison.max_absolute << comparison.max_bound_ratio << comparison.rel_frobenius;
    RETURN_IF_ERROR(insert.run());
  }
  return {};
}

Result<void> add_launches(sqlite3* database, int64_t case_id,
                          const std::vector<LaunchStatistics>& launches) {
  int position = 0;
  for (const LaunchStatistics& launch : launches) {
    Statement insert(database, "INSERT INTO launches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert << case_id << position++ << launch.kernel << launch.lane_instructions
           << launch.warp_instructions << launch.global_load_sectors << launch.global_store_sectors
           << launch.shared_bank_conflicts << launch.uninitialised_shared_reads
           << launch.elapsed_ms;
    RETURN_IF_ERROR(insert.run());
  }
  return {};
}

Result<void> add_case(sqlite3* database, int64_t evaluation_id, const CaseResult& result,
                      const std::string& plan_blob) {
  const CheckReport& report = result.report;
  Statement insert(database,
                   "INSERT INTO cases (evaluation_id, name, role, outcome, reason, explanation,"
                   " source_line, seed, plan_digest, plan_blob, record_ms, candidate_ms, check_ms,"
                   " printed, solve_output, notes, plan_summary, kernels_needed)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert << evaluation_id << result.name << (result.role == Role::timed ? "timed" : "test")
         << name(report.outcome) << report.reason << report.explanation << report.source_line
         << fmt::format("{:016x}", result.seed) << result.plan_digest << plan_blob
         << result.record_ms << report.candidate_ms << report.check_ms << report.printed
         << result.solve_output << joined(report.notes)
         << (result.plan ? stored_text(*result.plan) : "") << result.kernels_needed;
  RETURN_IF_ERROR(insert.run());
  const int64_t case_id = sqlite3_last_insert_rowid(database);
  RETURN_IF_ERROR(add_comparisons(database, case_id, report.comparisons));
  RETURN_IF_ERROR(add_launches(database, case_id, report.launches));
  if (result.timing) RETURN_IF_ERROR(add_timing(database, case_id, *result.timing));
  return {};
}

}  // namespace

Result<int64_t> Store::add(const EvaluationKey& key, const Evaluation& evaluation,
                           const std::string& facts_json) {
  ASSIGN_OR_RETURN(const std::string code_digest, put_blob(evaluation.code));
  std::string log_digest;
  if (!evaluation.compile_log.empty()) {
    ASSIGN_OR_RETURN(log_digest, put_blob(evaluation.compile_log));
  }
  std::vector<std::string> plan_blobs;
  for (const CaseResult& result : evaluation.cases) {
    std::string& blob = plan_blobs.emplace_back();
    if (result.plan_json.empty()) continue;
    ASSIGN_OR_RETURN(blob, put_blob(result.plan_json));
  }

  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(execute(database_, "BEGIN IMMEDIATE"));
  const auto write = [&]() -> Result<int64_t> {
    const std::string facts_digest = sha256(facts_json);
    Statement facts(database_, "INSERT OR IGNORE INTO facts VALUES (?, ?)");
    facts << facts_digest << facts_json;
    RETURN_IF_ERROR(facts.run());
    Statement obsolete(database_, "DELETE FROM evaluations WHERE key = ?");
    obsolete << key.digest();
    RETURN_IF_ERROR(obsolete.run());
    Statement insert(
        database_,
        "INSERT INTO evaluations (key, task_id, task_digest, candidate, source_digest, code_digest,"
        " extraction, outcome, reason, explanation, device_id, arch, toolchain, artifact_key,"
        " artifact_from_cache, compile_log_digest, options, facts_digest, started_at, compile_ms,"
        " wall_ms, language) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?)");
    insert << key.digest() << evaluation.task_id << key.task_digest << evaluation.candidate
           << evaluation.source_digest << code_digest << evaluation.extraction
           << name(evaluation.outcome) << evaluation.reason << evaluation.explanation
           << evaluation.device_id << evaluation.arch << evaluation.toolchain
           << evaluation.artifact_key << static_cast<int>(evaluation.artifact_from_cache)
           << log_digest << key.options << facts_digest << utc_now() << evaluation.compile_ms
           << evaluation.wall_ms << name(evaluation.language);
    RETURN_IF_ERROR(insert.run());
    const int64_t id = sqlite3_last_insert_rowid(database_);
    RETURN_IF_ERROR(add_diagnostics(database_, id, evaluation.diagnostics));
    RETURN_IF_ERROR(add_kernels(database_, id, evaluation.kernels));
    for (size_t i = 0; i < evaluation.cases.size(); ++i)
      RETURN_IF_ERROR(add_case(database_, id, evaluation.cases[i], plan_blobs[i]));
    RETURN_IF_ERROR(execute(database_, "COMMIT"));
    return id;
  };
  Result<int64_t> id = write();
  if (!id.ok()) (void)execute(database_, "ROLLBACK").ok();
  return id;
}

template <typename... Argument>
Result<std::vector<EvaluationSummary>> Store::select(const std::string& where,
                                                     const Argument&... argument) const {
  const std::lock_guard lock(mutex_);
  Statement query(
      database_,
      "SELECT id, task_id, candidate, outcome, reason, explanation, device_id, compile_ms, wall_ms,"
      " started_at, code_digest, compile_log_digest,"
      " (SELECT count(*) FROM cases c WHERE c.evaluation_id = e.id),"
      " (SELECT count(*) FROM cases c WHERE c.evaluation_id = e.id AND c.outcome = 'correct'),"
      " (SELECT ifnull(sum(check_ms), 0) FROM cases c WHERE c.evaluation_id = e.id),"
      " (SELECT ifnull(max(max_bound_ratio), 0) FROM comparisons WHERE case_id IN"
      "   (SELECT c.id FROM cases c WHERE c.evaluation_id = e.id)),"
      " (SELECT ifnull(sum(lane_instructions), 0) FROM launches WHERE case_id IN"
      "   (SELECT c.id FROM cases c WHERE c.evaluation_id = e.id)),"
      " speed.count, speed.over_naive, speed.over_expert, speed.of_light, task_digest, language"
      " FROM evaluations e LEFT JOIN"
      "   (SELECT c.evaluation_id, count(*) AS count, avg(s.log_speedup) AS over_naive,"
      "      avg(s.log_speedup - s.expert_log_speedup) AS over_expert,"
      "      avg(s.limit_us / (SELECT avg(t.candidate_us) FROM timings t WHERE t.case_id = c.id))"
      "        AS of_light"
      "    FROM speeds s JOIN cases c ON c.id = s.case_id GROUP BY c.evaluation_id) speed"
      "   ON speed.evaluation_id = e.id AND e.outcome = 'correct' " +
          where + " ORDER BY id");
  (void)(query << ... << argument);
  std::vector<EvaluationSummary> rows;
  while (query.step()) {
    EvaluationSummary& row = rows.emplace_back();
    row.id = query.integer(0);
    row.task_id = query.text(1);
    row.candidate = query.text(2);
    row.outcome = outcome_from_name(query.text(3)).value_or(Outcome::harness_error);
    row.reason = query.text(4);
    row.explanation = query.text(5);
    row.device_id = query.text(6);
    row.compile_ms = query.real(7);
    row.wall_ms = query.real(8);
    row.started_at = query.text(9);
    row.source_digest = query.text(10);
    row.compile_log_digest = query.text(11);
    row.cases_total = static_cast<int>(query.integer(12));
    row.cases_correct = static_cast<int>(query.integer(13));
    row.check_ms = query.real(14);
    row.max_bound_ratio = query.real(15);
    row.lane_instructions = static_cast<uint64_t>(query.integer(16));
    row.task_digest = query.text(21);
    row.language = query.text(22);
    if (query.integer(17) > 0) {
      row.speedup = std::exp(query.real(18));
      if (!query.is_null(19)) row.speedup_over_expert = std::exp(query.real(19));
      if (query.real(20) > 0) row.speed_of_light = query.real(20);
    }
  }
  RETURN_IF_ERROR(query.error());
  return rows;
}

Result<std::optional<EvaluationSummary>> Store::find(const EvaluationKey& key) const {
  ASSIGN_OR_RETURN(auto rows, select("WHERE key = ? AND outcome <> 'harness_error'", key.digest()));
  if (rows.empty()) return std::optional<EvaluationSummary>();
  return std::optional<EvaluationSummary>(std::move(rows.front()));
}

Result<std::optional<EvaluationSummary>> Store::find(int64_t evaluation_id) const {
  ASSIGN_OR_RETURN(auto rows, select("WHERE id = ?", evaluation_id));
  if (rows.empty()) return std::optional<EvaluationSummary>();
  return std::optional<EvaluationSummary>(std::move(rows.front()));
}

Result<std::optional<int64_t>> Store::find_id(const std::string& key_digest) const {
  const std::lock_guard lock(mutex_);
  Statement query(database_,
                  "SELECT id FROM evaluations WHERE key = ? AND outcome <> 'harness_error'");
  query << key_digest;
  std::optional<int64_t> id;
  if (query.step()) id = query.integer(0);
  RETURN_IF_ERROR(query.error());
  return id;
}

Result<std::vector<EvaluationSummary>> Store::evaluations() const { return select(""); }

Result<std::vector<Diagnostic>> Store::diagnostics(int64_t evaluation_id) const {
  const std::lock_guard lock(mutex_);
  Statement query(database_,
                  "SELECT severity, line, column, message FROM diagnostics WHERE evaluation_id = ?"
                  " ORDER BY rowid");
  query << evaluation_id;
  std::vector<Diagnostic> rows;
  while (query.step()) {
    const std::string severity = query.text(0);
    rows.push_back({severity == "note"      ? Diagnostic::Severity::note
                    : severity == "warning" ? Diagnostic::Severity::warning
                                            : Diagnostic::Severity::error,
                    static_cast<uint32_t>(query.integer(1)),
                    static_cast<uint32_t>(query.integer(2)), query.text(3)});
  }
  RETURN_IF_ERROR(query.error());
  return rows;
}

Result<std::unordered_set<int64_t>> Store::with_diagnostics() const {
  const std::lock_guard lock(mutex_);
  Statement query(database_, "SELECT DISTINCT evaluation_id FROM diagnostics");
  std::unordered_set<int64_t> ids;
  while (query.step()) ids.insert(query.integer(0));
  RETURN_IF_ERROR(query.error());
  return ids;
}

Result<std::vector<Kernel>> Store::kernels(int64_t evaluation_id) const {
  const std::lock_guard lock(mutex_);
  Statement query(database_,
                  "SELECT name, demangled, registers, spill_store_bytes, spill_load_bytes,"
                  " stack_bytes, static_shared_bytes FROM kernels WHERE evaluation_id = ?"
                  " ORDER BY rowid");
  query << evaluation_id;
  const auto count = [&](int column) { return static_cast<uint32_t>(query.integer(column)); };
  std::vector<Kernel> rows;
  while (query.step()) {
    Kernel& kernel = rows.emplace_back();
    kernel.name = query.text(0);
    kernel.demangled = query.text(1);
    kernel.registers = count(2);
    kernel.spill_store_bytes = count(3);
    kernel.spill_load_bytes = count(4);
    kernel.stack_bytes = count(5);
    kernel.static_shared_bytes = count(6);
  }
  RETURN_IF_ERROR(query.error());
  return rows;
}

Result<std::vector<CaseSummary>> Store::cases(int64_t evaluation_id) const {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto speeds, read_speeds(database_, evaluation_id));
  Statement query(
      database_,
      "SELECT name, outcome, reason, explanation, record_ms, check_ms,"
      " (SELECT ifnull(max(max_bound_ratio), 0) FROM comparisons WHERE case_id = c.id),"
      " (SELECT ifnull(sum(lane_instructions), 0) FROM launches WHERE case_id = c.id),"
      " (SELECT ifnull(sum(global_load_sectors + global_store_sectors), 0) FROM launches"
      "   WHERE case_id = c.id),"
      " (SELECT ifnull(sum(shared_bank_conflicts), 0) FROM launches WHERE case_id = c.id), id, "
      "notes, plan_summary, kernels_needed"
      " FROM cases c WHERE evaluation_id = ? ORDER BY id");
  query << evaluation_id;
  std::vector<CaseSummary> rows;
  while (query.step()) {
    CaseSummary& row = rows.emplace_back();
    row.name = query.text(0);
    row.outcome = outcome_from_name(query.text(1)).value_or(Outcome::harness_error);
    row.reason = query.text(2);
    row.explanation = query.text(3);
    row.record_ms = query.real(4);
    row.check_ms = query.real(5);
    row.max_bound_ratio = query.real(6);
    row.lane_instructions = static_cast<uint64_t>(query.integer(7));
    row.global_sectors = static_cast<uint64_t>(query.integer(8));
    row.shared_bank_conflicts = static_cast<uint64_t>(query.integer(9));
    if (const auto speed = speeds.find(query.integer(10)); speed != speeds.end())
      row.speed = speed->second;
    row.notes = query.text(11);
    if (!query.text(12).empty()) {
      ASSIGN_OR_RETURN(row.plan, parse_plan_summary(query.text(12)));
    }
    if (!query.is_null(13)) row.kernels_needed = query.integer(13) != 0;
  }
  RETURN_IF_ERROR(query.error());
  return rows;
}

}  // namespace assay
