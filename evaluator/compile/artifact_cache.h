// Compilation results on disk, found by the digest of everything that went into them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "evaluator/compile/compiler.h"

namespace assay {

/// One file's content for a result: a line naming the format, the SHA-256 of the rest, a JSON
/// header with all small members and the sizes of the sections, then the sections (PTX, cubin,
/// launcher, log).
std::string serialize(const CompileOutcome& outcome);
/// nullopt for anything that serialize did not write, including truncated and altered files.
std::optional<CompileOutcome> deserialize(std::string_view bytes);

/// A folder of such files. Safe for any number of threads and processes: files appear by rename,
/// and two that write the same key write the same meaning.
class ArtifactCache {
 public:
  explicit ArtifactCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The stored result, or nullopt; a damaged file is removed and counts as absent.
  std::optional<CompileOutcome> find(const std::string& key) const;
  /// Stores a result. A failure to write is not an error: the cache is only slower then.
  void store(const std::string& key, const CompileOutcome& outcome) const;

  std::filesystem::path file(const std::string& key) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace assay
