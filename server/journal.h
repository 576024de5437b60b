// What must still be known after a restart: which id of the native API stands for which order,
// which idempotency key was used for what, and what KernelGYM clients poll for. One SQLite file
// beside the store.
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

/// What a KernelGYM client submitted under an id of its own.
struct Submission {
  std::string client;
  std::string name;  // the client's id for it
  std::string body;  // JSON
  std::string task_id;
  std::string reward;  // as the URL named it
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

  /// Instead of an earlier one of the same client and name.
  Result<void> add_submission(const Submission& submission);
  Result<std::optional<Submission>> find_submission(const std::string& client,
                                                    const std::string& name);

 private:
  Journal() = default;
  sqlite3* database_ = nullptr;
  std::mutex mutex_;
  std::set<std::string> recent_;  // ids known to be in the file; emptied when it grows large
};

}  // namespace assay
