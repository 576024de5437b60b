// Answers that were paid for already, one file each, under the digest of all that led to them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "agents/model/model.h"

namespace assay {

struct CachedAnswer {
  Answer answer;
  Usage usage;
  std::string served_model;
  std::string fingerprint;
  std::string response_id;
};

/// Thread-safe: files are written whole and renamed. A damaged file counts as absent.
class ResponseCache {
 public:
  explicit ResponseCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The key of one answer. `identity` names the place in the run (task, sample, turn): without it
  /// all samples of a task would share one answer.
  static std::string key(const std::string& protocol, const std::string& url,
                         const std::string& body, const std::string& identity);

  std::optional<CachedAnswer> find(const std::string& key) const;
  /// Keeps whole answers only: those that were cut off, refused or filtered are asked for again.
  /// A cache that cannot be written is not an error.
  void put(const std::string& key, const CachedAnswer& answer);

 private:
  std::filesystem::path path(const std::string& key) const;
  std::filesystem::path folder_;
};

}  // namespace assay
