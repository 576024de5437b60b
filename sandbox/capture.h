// Capture: what a program printed, bounded, its front and its back kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace assay::sandbox {

class Capture {
 public:
  /// Keeps `limit_bytes` in all: half of it from the front, half from the back.
  explicit Capture(size_t limit_bytes)
      : front_limit_(limit_bytes - limit_bytes / 2), back_limit_(limit_bytes / 2) {}

  void add(std::string_view bytes);
  /// All bytes that were added, kept or not.
  size_t seen_bytes() const { return seen_; }
  bool truncated() const { return seen_ > front_limit_ + back_limit_; }
  /// What was kept; a line between front and back says how many bytes are missing.
  std::string text() const;

 private:
  size_t front_limit_;
  size_t back_limit_;
  size_t seen_ = 0;
  std::string front_;
  std::string back_;  // up to twice its limit, trimmed when it grows beyond
};

}  // namespace assay::sandbox
