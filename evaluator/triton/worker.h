// Sandboxed processes that record Triton candidates, ready before the candidate is known.
// worker.cc opens with the theory of operation.
#pragma once

#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace assay::triton {

/// What a recording may use.
sandbox::Limits recording_limits();

/// A process of its own sandbox that records one candidate, once. Not thread-safe.
class Worker {
 public:
  /// Starts it, which goes on in the background. Errors: Triton not installed, trouble of the
  /// sandbox.
  static Result<std::unique_ptr<Worker>> start();
  ~Worker();

  /// Whether it has not ended.
  bool waits() const;
  /// Hands over the candidate and the request (python/assay_triton/record.py) and waits for the
  /// process to end. `timeout` where it took longer than recording_limits().wall.
  sandbox::Outcome record(const std::string& source, const nlohmann::json& request);

 private:
  Worker(std::unique_ptr<sandbox::Process> process, int channel)
      : process_(std::move(process)), channel_(channel) {}

  std::unique_ptr<sandbox::Process> process_;
  int channel_;
};

/// Keeps workers ready, as many as it was told. Thread-safe.
class Workers {
 public:
  explicit Workers(size_t ready) : most_(ready) {}

  /// One that is ready, else a new one.
  Result<std::unique_ptr<Worker>> take();
  /// Starts one for later unless enough are ready. That it fails is seen by the next take().
  void prepare();

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> ready_;
  size_t most_;
};

}  // namespace assay::triton
