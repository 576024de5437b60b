#include "reports/run_store.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "reports/statement.h"

namespace assay {

namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

SampleState state_of(const std::string& name) {
  if (name == "done") return SampleState::done;
  if (name == "failed") return SampleState::failed;
  return SampleState::running;
}

std::optional<int64_t> optional_integer(const Statement& query, int column) {
  if (query.is_null(column)) return std::nullopt;
  return query.integer(column);
}

std::optional<double> optional_real(const Statement& query, int column) {
  if (query.is_null(column)) return std::nullopt;
  return query.real(column);
}

constexpr const char* kRunColumns =
    "SELECT id, key, agent, loop, suite, settings, command, device_id, arch, started_at,"
    " charged_seconds, stopped FROM runs ";

RunRow read_run(const Statement& query) {
  RunRow run;
  run.id = query.integer(0);
  run.key = query.text(1);
  run.agent = query.text(2);
  run.loop = query.text(3);
  run.suite = query.text(4);
  run.settings = query.text(5);
  run.command = query.text(6);
  run.device_id = query.text(7);
  run.arch = query.text(8);
  run.started_at = query.text(9);
  run.charged_seconds = query.real(10);
  run.stopped = query.text(11);
  return run;
}

constexpr const char* kSampleColumns =
    "SELECT id, run_id, task_id, suite, level, number, state, failure_class, failure,"
    " best_turn_id FROM samples ";

SampleRow read_sample(const Statement& query) {
  SampleRow sample;
  sample.id = query.integer(0);
  sample.run_id = query.integer(1);
  sample.task_id = query.text(2);
  sample.suite = query.text(3);
  sample.level = static_cast<int>(query.integer(4));
  sample.number = static_cast<int>(query.integer(5));
  sample.state = state_of(query.text(6));
  sample.failure_class = query.text(7);
  sample.failure = query.text(8);
  sample.best_turn_id = optional_integer(query, 9);
  return sample;
}

TurnRow read_turn(const Statement& query) {
  TurnRow turn;
  turn.id = query.integer(0);
  turn.sample_id = query.integer(1);
  turn.number = static_cast<int>(query.integer(2));
  turn.parent = static_cast<int>(query.integer(3));
  turn.kind = query.text(4);
  turn.island = static_cast<int>(query.integer(5));
  turn.prompt_digest = query.text(6);
  turn.request_digest = query.text(7);
  turn.answer_digest = query.text(8);
  turn.reasoning_digest = query.text(9);
  turn.finish = query.text(10);
  turn.extraction = query.text(11);
  turn.evaluation_id = optional_integer(query, 12);
  turn.outcome = query.text(13);
  turn.feedback_digest = query.text(14);
  turn.cached = query.integer(15) != 0;
  turn.tokens = query.integer(16);
  turn.output_tokens = query.integer(17);
  turn.cost_dollars = optional_real(query, 18);
  turn.seconds = query.real(19);
  turn.waiting_seconds = query.real(20);
  turn.device_seconds = query.real(21);
  turn.served_model = query.text(22);
  turn.fingerprint = query.text(23);
  turn.response_id = query.text(24);
  return turn;
}

Result<void> add_attempts(sqlite3* database, std::optional<int64_t> turn_id, int64_t sample_id,
                          const std::vector<AttemptRow>& attempts) {
  int number = 0;
  for (const AttemptRow& attempt : attempts) {
    Statement insert(
        database, "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert << turn_id << sample_id << ++number << attempt.status << attempt.request_id
           << attempt.failure_class << attempt.failure << attempt.seconds << attempt.waited_seconds
           << attempt.input_uncached << attempt.input_cache_read << attempt.input_cache_write
           << attempt.output_visible << attempt.output_reasoning << attempt.raw_usage
           << attempt.cost_dollars;
    RETURN_IF_ERROR(insert.run());
  }
  return {};
}

/// Runs `work` in a transaction: all of it or nothing.
template <typename Work>
Result<void> transaction(sqlite3* database, const Work& work) {
  RETURN_IF_ERROR(Statement(database, "BEGIN IMMEDIATE").run());
  Result<void> done = work();
  if (done.ok()) done = Statement(database, "COMMIT").run();
  if (!done.ok()) (void)Statement(database, "ROLLBACK").run().ok();
  return done;
}

}  // namespace

Language language_of(const RunRow& run) {
  const auto settings = nlohmann::json::parse(run.settings, nullptr, false);
  if (!settings.is_object() || !settings.contains("language")) return Language::cuda;
  const nlohmann::json& name = settings["language"];
  return language_from_name(name.is_string() ? name.get<std::string>() : "")
      .value_or(Language::cuda);
}

const char* name(SampleState state) {
  switch (state) {
    case SampleState::running:
      return "running";
    case SampleState::done:
      return "done";
    case SampleState::failed:
      return "failed";
  }
  return "running";
}

Result<RunRow> RunStore::open_run(const RunRow& wanted) {
  const std::lock_guard lock(store_.connection_mutex());
  Statement insert(store_.connection(),
                   "INSERT INTO runs (key, agent, loop, suite, settings, command, device_id, arch,"
                   " started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (key) DO UPDATE SET command = excluded.command, stopped = ''");
  insert << wanted.key << wanted.agent << wanted.loop << wanted.suite << wanted.settings
         << wanted.command << wanted.device_id << wanted.arch << utc_now();
  RETURN_IF_ERROR(insert.run());
  Statement query(store_.connection(), std::string(kRunColumns) + "WHERE key = ?");
  query << wanted.key;
  if (query.step()) return read_run(query);
  RETURN_IF_ERROR(query.error());
  return Error{ErrorKind::internal, "a run that was just added is not there"};
}

Result<void> RunStore::set_progress(int64_t run_id, double charged_seconds,
                                    const std::string& stopped) {
  const std::lock_guard lock(store_.connection_mutex());
  Statement update(store_.connection(),
                   "UPDATE runs SET charged_seconds = ?, stopped = ? WHERE id = ?");
  update << charged_seconds << stopped << run_id;
  return update.run();
}

Result<std::vector<RunRow>> RunStore::runs() const {
  const std::lock_guard lock(store_.connection_mutex());
  Statement query(store_.connection(), std::string(kRunColumns) + "ORDER BY id");
  std::vector<RunRow> rows;
  while (query.step()) rows.push_back(read_run(query));
  RETURN_IF_ERROR(query.error());
  return rows;
}

Result<std::map<int64_t, RunTally>> RunStore::tallies() const {
  const std::lock_guard lock(store_.connection_mutex());
  Statement query(store_.connection(),
                  "SELECT run_id, count(*), sum(state = 'done'), sum(state = 'failed'),"
                  " sum(state = 'done' AND t.outcome = 'correct')"
                  " FROM samples s LEFT JOIN turns t ON t.id = s.best_turn_id GROUP BY run_id");
  const auto count = [&](int column) { return static_cast<int>(query.integer(column)); };
  std::map<int64_t, RunTally> tallies;
  while (query.step()) tallies[query.integer(0)] = {count(1), count(2), count(3), count(4)};
  RETURN_IF_ERROR(query.error());
  return tallies;
}

Result<SampleRow> RunStore::open_sample(const SampleRow& wanted) {
  const std::lock_guard lock(store_.connection_mutex());
  Statement insert(store_.connection(),
                   "INSERT OR IGNORE INTO samples (run_id, task_id, suite, level, number, state)"
                   " VALUES (?, ?, ?, ?, ?, 'running')");
  insert << wanted.run_id << wanted.task_id << wanted.suite << wanted.level << wanted.number;
  RETURN_IF_ERROR(insert.run());
  Statement query(store_.connection(),
                  std::string(kSampleColumns) + "WHERE run_id = ? AND task_id = ? AND number = ?");
  query << wanted.run_id << wanted.task_id << wanted.number;
  if (query.step()) return read_sample(query);
  RETURN_IF_ERROR(query.error());
  return Error{ErrorKind::internal, "a sample that was just added is not there"};
}

Result<void> RunStore::update_sample(const SampleRow& sample) {
  const std::lock_guard lock(store_.connection_mutex());
  Statement update(store_.connection(),
                   "UPDATE samples SET state = ?, failure_class = ?, failure = ?, best_turn_id = ?"
                   " WHERE id = ?");
  update << name(sample.state) << sample.failure_class << sample.failure << sample.best_turn_id
         << sample.id;
  return update.run();
}

Result<std::vector<SampleRow>> RunStore::samples(int64_t run_id) const {
  const std::lock_guard lock(store_.connection_mutex());
  Statement query(store_.connection(),
                  std::string(kSampleColumns) + "WHERE run_id = ? ORDER BY task_id, number");
  query << run_id;
  std::vector<SampleRow> rows;
  while (query.step()) rows.push_back(read_sample(query));
  RETURN_IF_ERROR(query.error());
  return rows;
}

Result<std::optional<SampleRow>> RunStore::sample(int64_t id) const {
  const std::lock_guard lock(store_.connection_mutex());
  Statement query(store_.connection(), std::string(kSampleColumns) + "WHERE id = ?");
  query << id;
  std::optional<SampleRow> row;
  if (query.step()) row = read_sample(query);
  RETURN_IF_ERROR(query.error());
  return row;
}

Result<void> RunStore::add_turn(TurnRow& turn, const std::vector<AttemptRow>& attempts) {
  const std::lock_guard lock(store_.connection_mutex());
  sqlite3* database = store_.connection();
  return transaction(database, [&]() -> Result<void> {
    Statement insert(
        database,
        "INSERT INTO turns (sample_id, number, parent, kind, island, prompt_digest, request_digest,"
        " answer_digest, reasoning_digest, finish, extraction, cached, tokens, output_tokens,"
        " cost_dollars, seconds, waiting_seconds, served_model, fingerprint, response_id,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert << turn.sample_id << turn.number << turn.parent << turn.kind << turn.island
           << turn.prompt_digest << turn.request_digest << turn.answer_digest
           << turn.reasoning_digest << turn.finish << turn.extraction << int{turn.cached}
           << turn.tokens << turn.output_tokens << turn.cost_dollars << turn.seconds
           << turn.waiting_seconds << turn.served_model << turn.fingerprint << turn.response_id
           << utc_now();
    RETURN_IF_ERROR(insert.run());
    turn.id = sqlite3_last_insert_rowid(database);
    return add_attempts(database, turn.id, turn.sample_id, attempts);
  });
}

Result<void> RunStore::add_failed_attempts(int64_t sample_id,
                                           const std::vector<AttemptRow>& attempts) {
  const std::lock_guard lock(store_.connection_mutex());
  return transaction(store_.connection(), [&] {
    return add_attempts(store_.connection(), std::nullopt, sample_id, attempts);
  });
}

Result<void> RunStore::set_judged(const TurnRow& turn) {
  const std::lock_guard lock(store_.connection_mutex());
  Statement update(store_.connection(),
                   "UPDATE turns SET evaluation_id = ?, outcome = ?, feedback_digest = ?,"
                   " device_seconds = ? WHERE id = ?");
  update << turn.evaluation_id << turn.outcome << turn.feedback_digest << turn.device_seconds
         << turn.id;
  return update.run();
}

Result<std::vector<TurnRow>> RunStore::turns(int64_t sample_id) const {
  const std::lock_guard lock(store_.connection_mutex());
  Statement query(store_.connection(),
                  "SELECT id, sample_id, number, parent, kind, island, prompt_digest,"
                  " request_digest, answer_digest, reasoning_digest, finish, extraction,"
                  " evaluation_id, outcome, feedback_digest, cached, tokens, output_tokens,"
                  " cost_dollars, seconds, waiting_seconds, device_seconds, served_model,"
                  " fingerprint, response_id FROM turns WHERE sample_id = ? ORDER BY number");
  query << sample_id;
  std::vector<TurnRow> rows;
  while (query.step()) rows.push_back(read_turn(query));
  RETURN_IF_ERROR(query.error());
  return rows;
}

Result<void> RunStore::set_retest(int64_t evaluation_id, int64_t retest_id) {
  const std::lock_guard lock(store_.connection_mutex());
  Statement insert(store_.connection(), "INSERT OR REPLACE INTO retests VALUES (?, ?)");
  insert << evaluation_id << retest_id;
  return insert.run();
}

Result<std::map<std::string, Spent>> RunStore::spent(int64_t run_id) const {
  const std::lock_guard lock(store_.connection_mutex());
  Statement answers(store_.connection(),
                    "SELECT task_id, count(DISTINCT sample_id), count(*),"
                    " sum(CASE WHEN cached THEN 0 ELSE tokens END), ifnull(sum(cost_dollars), 0),"
                    " sum(device_seconds), sum(seconds - waiting_seconds)"
                    " FROM turns JOIN samples ON samples.id = turns.sample_id WHERE run_id = ?"
                    " GROUP BY task_id");
  answers << run_id;
  std::map<std::string, Spent> spent;
  while (answers.step())
    spent[answers.text(0)] = {answers.integer(1), answers.integer(2), answers.integer(3),
                              answers.real(4),    answers.real(5),    answers.real(6)};
  RETURN_IF_ERROR(answers.error());
  Statement failed(store_.connection(),
                   "SELECT task_id, sum(ifnull(input_uncached, 0) + ifnull(input_cache_read, 0)"
                   " + ifnull(input_cache_write, 0) + ifnull(output_visible, 0)"
                   " + ifnull(output_reasoning, 0)), ifnull(sum(cost_dollars), 0)"
                   " FROM responses JOIN samples ON samples.id = responses.sample_id"
                   " WHERE turn_id IS NULL AND run_id = ? GROUP BY task_id");
  failed << run_id;
  while (failed.step()) {
    spent[failed.text(0)].tokens += failed.integer(1);
    spent[failed.text(0)].dollars += failed.real(2);
  }
  RETURN_IF_ERROR(failed.error());
  return spent;
}

Result<std::vector<SampleResult>> RunStore::results(int64_t run_id) const {
  const std::lock_guard lock(store_.connection_mutex());
  Statement query(store_.connection(),
                  "SELECT s.id, s.task_id, s.suite, s.level, s.number, s.state, s.failure_class,"
                  " ifnull(e.outcome, best.outcome), e.reason,"
                  " ifnull(e.explanation, s.failure), best.evaluation_id,"
                  " e.code_digest, used.turns, used.tokens, used.output_tokens, used.cost,"
                  " used.seconds, again.retest_id, best.finish"
                  " FROM samples s LEFT JOIN turns best ON best.id = s.best_turn_id"
                  " LEFT JOIN retests again ON again.evaluation_id = best.evaluation_id"
                  " LEFT JOIN evaluations e ON e.id = ifnull(again.retest_id, best.evaluation_id)"
                  " LEFT JOIN (SELECT sample_id, count(*) AS turns, sum(tokens) AS tokens,"
                  "   sum(output_tokens) AS output_tokens, sum(seconds) AS seconds,"
                  "   CASE WHEN count(cost_dollars) = count(*) THEN sum(cost_dollars) END AS cost"
                  "   FROM turns WHERE sample_id IN (SELECT id FROM samples WHERE run_id = ?1)"
                  "   GROUP BY sample_id) used ON used.sample_id = s.id"
                  " WHERE s.run_id = ?1 ORDER BY s.task_id, s.number");
  query << run_id;
  std::vector<SampleResult> rows;
  while (query.step()) {
    SampleResult& row = rows.emplace_back();
    row.sample_id = query.integer(0);
    row.task_id = query.text(1);
    row.suite = query.text(2);
    row.level = static_cast<int>(query.integer(3));
    row.number = static_cast<int>(query.integer(4));
    row.state = state_of(query.text(5));
    row.failure_class = query.text(6);
    row.outcome = outcome_from_name(query.text(7)).value_or(Outcome::harness_error);
    row.reason = query.text(8);
    row.explanation = query.text(9);
    row.evaluation_id = optional_integer(query, 10);
    row.code_digest = query.text(11);
    row.turns = static_cast<int>(query.integer(12));
    row.tokens = query.integer(13);
    row.output_tokens = query.integer(14);
    row.cost_dollars = optional_real(query, 15);
    row.seconds = query.real(16);
    row.retest_id = optional_integer(query, 17);
    row.finish = query.text(18);
  }
  RETURN_IF_ERROR(query.error());
  return rows;
}

Result<int> RunStore::reopen(Outcome outcome) {
  const std::lock_guard lock(store_.connection_mutex());
  sqlite3* database = store_.connection();
  int reopened = 0;
  const Result<void> done = transaction(database, [&]() -> Result<void> {
    for (const char* sql :
         {"UPDATE samples SET state = 'running', failure_class = '', failure = '',"
          " best_turn_id = NULL WHERE id IN (SELECT sample_id FROM turns WHERE outcome = ?)",
          "DELETE FROM evaluations WHERE id IN (SELECT evaluation_id FROM turns WHERE outcome = ?)",
          "UPDATE turns SET evaluation_id = NULL, outcome = '', feedback_digest = ''"
          " WHERE outcome = ?"}) {
      Statement statement(database, sql);
      statement << name(outcome);
      RETURN_IF_ERROR(statement.run());
      if (std::string_view(sql).starts_with("UPDATE samples")) reopened = sqlite3_changes(database);
    }
    return {};
  });
  if (!done.ok()) return done.error();
  return reopened;
}

}  // namespace assay
