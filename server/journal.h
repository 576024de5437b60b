// What the native API must still know after a restart: which id stands for which order, and which
// idempotency key was used for what. One SQLite file beside the store.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"

struct sqlite3;

namespace assay {

struct JournalEntry {
  std::string id;
  std::string key;  // Order::key
  std::string task_id;
  std::string reward;         // RewardFormula::id()
  std::string source_digest;  // a blob of the store
  bool is_answer = false;
  std::string client;
  std::string group;
};

/// Thread-safe.
class Journal {
 public:
  static Result<std::unique_ptr<Journal>> open(const std::filesystem::path& file);
  ~Journal();

  /// Whether add() was called with this id before.
  bool knows(const std::string& id);
  Result<void> add(const JournalEntry& entry);
  Result<std::optional<JournalEntry>> find(const std::string& id);

  /// The digest of the body that this client used the key for first; this call's, if it is the
  /// first.
  Result<std::string> claim(const std::string& client, const std::string& idempotency_key,
                            const std::string& body_digest);

 private:
  Journal() = default;
  sqlite3* database_ = nullptr;
  std::mutex mutex_;
  std::set<std::string> recent_;  // ids known to be in the file; emptied when it grows large
};

}  // namespace assay
