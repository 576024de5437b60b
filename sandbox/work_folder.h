// Work folders of runs without a mount namespace: a folder of the host's disk in place of a tmpfs.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>

#include "base/result.h"

namespace assay::sandbox {

/// A fresh folder that only `uid` may use, removed by the destructor with whatever is in it. Nobody
/// may change it meanwhile. Movable; default: none.
class WorkFolder {
 public:
  /// In the folder for temporary files. Errors name it.
  static Result<WorkFolder> create(uid_t uid, gid_t gid);

  WorkFolder() = default;
  ~WorkFolder();
  WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  WorkFolder& operator=(WorkFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }

  explicit operator bool() const { return !path_.empty(); }
  const std::string& path() const { return path_; }

  /// Whether it holds more than `bytes`, more than `entries`, or folders that cannot be read or are
  /// nested too deep. While programs change it, an estimate.
  bool exceeds(size_t bytes, size_t entries) const;

 private:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

/// Removes a folder with whatever a program left in it: any depth, any names, no link followed.
/// False with errno where something remains. Async-signal-safe.
bool remove_work_folder(const char* path);

}  // namespace assay::sandbox
