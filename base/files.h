// Reading and writing whole files, and private temporary folders.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace assay {

/// The whole file. A file above `limit_bytes` is an error (invalid), so is anything but a file.
Result<std::string> read_file(const std::filesystem::path& path,
                              size_t limit_bytes = size_t{1} << 30);

/// Writes beside `path` and renames over it, so that readers see the old or the new content,
/// never a part. Parent folders must exist.
Result<void> write_file(const std::filesystem::path& path, std::string_view content);

/// A folder of its own under the system's temporary folder (TMPDIR respected), mode 0700, removed
/// with all its content by the destructor. Movable.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create(std::string_view prefix);
  ~TemporaryFolder();
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace assay
