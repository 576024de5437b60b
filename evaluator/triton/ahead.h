// Recordings of a candidate's cases, begun before they are asked for.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <semaphore>
#include <string>

#include "base/result.h"
#include "evaluator/triton/tuner.h"

namespace assay::triton {

/// Recording takes a case longer than anything else, and cases do not depend on each other: while
/// one is checked, the next ones are recorded.
class Ahead {
 public:
  using Work = std::function<Result<Tuned>()>;

  /// At most `at_once` of them run at a time.
  explicit Ahead(size_t at_once) : free_(static_cast<std::ptrdiff_t>(at_once)) {}
  /// Waits for those that have begun; the others never begin.
  ~Ahead() { stopped_ = true; }

  void start(const std::string& case_name, Work work);
  /// Waits for a case that was started and not taken yet; else does `work` itself.
  Result<Tuned> take(const std::string& case_name, const Work& work);

 private:
  std::counting_semaphore<> free_;
  std::atomic<bool> stopped_ = false;
  std::map<std::string, std::future<Result<Tuned>>> recordings_;  // ends first
};

}  // namespace assay::triton
