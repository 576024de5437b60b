#include "reports/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "reports/table.h"

namespace assay {

using std::chrono::steady_clock;

Progress::Progress(size_t total) : total_(total) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void Progress::now(const std::string& what) {
  const std::lock_guard lock(mutex_);
  what_ = what;
  draw();
}

void Progress::advance() {
  const std::lock_guard lock(mutex_);
  ++done_;
  draw();
}

void Progress::draw() {
  static const size_t width = terminal_width(STDERR_FILENO);
  const auto time = steady_clock::now();
  if (width == 0 || time - start_ < std::chrono::seconds(2) ||
      time - last_draw_ < std::chrono::milliseconds(100))
    return;
  last_draw_ = time;
  const double elapsed_ms = std::chrono::duration<double, std::milli>(time - start_).count();
  std::string line = fmt::format("{}/{}  {} elapsed", done_, total_, short_duration(elapsed_ms));
  if (done_ > 0)
    line += fmt::format(", {} left", short_duration(elapsed_ms / static_cast<double>(done_) *
                                                    static_cast<double>(total_ - done_)));
  line += "  " + what_;
  fmt::print(stderr, "\r\033[K{}", line.substr(0, width - 1));
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace assay
