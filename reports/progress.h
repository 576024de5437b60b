// A progress line on a terminal: done of total, what runs now, elapsed and remaining time.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

namespace assay {

/// Draws on standard error, only where that is a terminal and only once two seconds have passed.
/// Thread-safe. The destructor clears the line.
class Progress {
 public:
  explicit Progress(size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// What is being done now.
  void now(const std::string& what);
  /// One more is done.
  void advance();

 private:
  void draw();

  const size_t total_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  size_t done_ = 0;
  std::string what_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_draw_{};
};

}  // namespace assay
