#include "server/journal.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "reports/statement.h"

namespace assay {

namespace {

constexpr size_t kMostRecent = 100'000;

constexpr const char* kSchema = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS orders (
  id TEXT PRIMARY KEY,
  key TEXT NOT NULL,
  task_id TEXT NOT NULL,
  reward TEXT NOT NULL,
  source_digest TEXT NOT NULL,
  is_answer INTEGER NOT NULL,
  client TEXT NOT NULL,
  order_group TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (
  client TEXT NOT NULL,
  key TEXT NOT NULL,
  body_digest TEXT NOT NULL,
  PRIMARY KEY (client, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS submissions (
  client TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  task_id TEXT NOT NULL,
  reward TEXT NOT NULL,
  PRIMARY KEY (client, name)
);
)sql";

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::filesystem::path& file) {
  std::unique_ptr<Journal> journal(new Journal);
  if (sqlite3_open_v2(file.c_str(), &journal->database_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                      nullptr) != SQLITE_OK)
    return Error{ErrorKind::io, fmt::format("cannot open {}: {}", file.string(),
                                            sqlite3_errmsg(journal->database_))};
  sqlite3_busy_timeout(journal->database_, 10'000);
  if (sqlite3_exec(journal->database_, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK)
    return Error{ErrorKind::io, fmt::format("cannot use {}: {}", file.string(),
                                            sqlite3_errmsg(journal->database_))};
  return journal;
}

Journal::~Journal() { sqlite3_close(database_); }

bool Journal::knows(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return recent_.contains(id);
}

Result<void> Journal::add(const JournalEntry& entry) {
  const std::lock_guard lock(mutex_);
  if (recent_.contains(entry.id)) return {};
  Statement insert(database_, "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  insert << entry.id << entry.key << entry.task_id << entry.reward << entry.source_digest
         << static_cast<int>(entry.is_answer) << entry.client << entry.group;
  RETURN_IF_ERROR(insert.run());
  if (recent_.size() >= kMostRecent) recent_.clear();
  recent_.insert(entry.id);
  return {};
}

Result<std::optional<JournalEntry>> Journal::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  Statement query(database_,
                  "SELECT id, key, task_id, reward, source_digest, is_answer, client, order_group"
                  " FROM orders WHERE id = ?");
  query << id;
  std::optional<JournalEntry> entry;
  if (query.step())
    entry = JournalEntry{query.text(0), query.text(1),         query.text(2), query.text(3),
                         query.text(4), query.integer(5) != 0, query.text(6), query.text(7)};
  RETURN_IF_ERROR(query.error());
  return entry;
}

Result<std::string> Journal::claim(const std::string& client, const std::string& idempotency_key,
                                   const std::string& body_digest) {
  const std::lock_guard lock(mutex_);
  Statement insert(database_, "INSERT OR IGNORE INTO idempotency VALUES (?, ?, ?)");
  insert << client << idempotency_key << body_digest;
  RETURN_IF_ERROR(insert.run());
  Statement query(database_, "SELECT body_digest FROM idempotency WHERE client = ? AND key = ?");
  query << client << idempotency_key;
  std::string first;
  if (query.step()) first = query.text(0);
  RETURN_IF_ERROR(query.error());
  return first;
}

Result<void> Journal::add_submission(const Submission& submission) {
  const std::lock_guard lock(mutex_);
  Statement insert(database_, "INSERT OR REPLACE INTO submissions VALUES (?, ?, ?, ?, ?)");
  insert << submission.client << submission.name << submission.body << submission.task_id
         << submission.reward;
  return insert.run();
}

Result<std::optional<Submission>> Journal::find_submission(const std::string& client,
                                                           const std::string& name) {
  const std::lock_guard lock(mutex_);
  Statement query(database_,
                  "SELECT client, name, body, task_id, reward FROM submissions"
                  " WHERE client = ? AND name = ?");
  query << client << name;
  std::optional<Submission> submission;
  if (query.step())
    submission =
        Submission{query.text(0), query.text(1), query.text(2), query.text(3), query.text(4)};
  RETURN_IF_ERROR(query.error());
  return submission;
}

}  // namespace assay
