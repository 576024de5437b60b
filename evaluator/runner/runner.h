// A runner: the process that holds one device, and its client. runner.cc opens with the theory of
// operation.
#pragma once

#include <condition_variable>
#include <nlohmann/json_fwd.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/check/check.h"
#include "evaluator/device/info.h"
#include "sandbox/sandbox.h"

namespace assay {

struct RunnerOptions {
  int threads = 0;             // CPU threads of a virtual device; 0: all cores
  std::string arch = "sm_90";  // of a virtual device
};

/// The client of one runner process. Not thread-safe.
class Runner {
 public:
  /// Starts the process and waits until its device is there. Errors: no such device, no driver.
  static Result<std::unique_ptr<Runner>> start(const std::string& device_id,
                                               const RunnerOptions& options);
  ~Runner();

  const DeviceInfo& info() const { return info_; }

  /// Runs a job. When the process dies, does not answer in time or says that its device is not
  /// healthy any more, it is replaced before the next job; for the first two the call is an Error
  /// (device, timeout).
  Result<CheckReport> check(const CheckJob& job);

  /// Host process id, for tests; -1 when none runs.
  int pid() const;

 private:
  Runner(std::string device_id, RunnerOptions options)
      : device_id_(std::move(device_id)), options_(std::move(options)) {}
  Result<void> launch();
  void discard();
  Result<void> send_artifact(const Artifact& artifact);
  Result<nlohmann::json> call(const nlohmann::json& request, double seconds);

  std::string device_id_;
  RunnerOptions options_;
  DeviceInfo info_;
  std::unique_ptr<sandbox::Process> process_;
  int socket_ = -1;
  std::vector<std::string> artifacts_;  // keys that the process holds, oldest first
};

/// Several runners of the same device, shared by threads.
class RunnerPool {
 public:
  static Result<std::unique_ptr<RunnerPool>> create(const std::string& device_id, int count,
                                                    const RunnerOptions& options);
  const DeviceInfo& info() const { return info_; }

  /// Runs a job on a free runner, waiting for one if need be.
  Result<CheckReport> check(const CheckJob& job);

 private:
  RunnerPool() = default;

  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Runner>> idle_;
  DeviceInfo info_;
};

}  // namespace assay
