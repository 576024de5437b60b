// A runner: the client of the process that holds one device. runner.cc opens with the theory of
// operation.
#pragma once

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/check/check.h"
#include "evaluator/device/info.h"
#include "evaluator/runner/process.h"

namespace assay {

/// The client of one runner process at a time. Not thread-safe.
class Runner {
 public:
  /// Starts the process and waits until its device is there. Errors: no such device, no driver.
  static Result<std::unique_ptr<Runner>> start(const std::string& device_id,
                                               const RunnerOptions& options);
  ~Runner();

  const DeviceInfo& info() const { return info_; }

  /// Runs a job. When the process dies, does not answer in time, answers nonsense or says that its
  /// device is not healthy any more, it is killed and replaced before the next job; for the first
  /// three the call is an Error (device, timeout) that says so. One that died while idle is
  /// replaced first and costs no job.
  Result<CheckReport> check(const CheckJob& job);

  /// Whether a process is there and waits for work.
  bool alive() const;
  /// Its host process id, for tests; -1 when none is there.
  int pid() const;

 private:
  using Started = Result<std::unique_ptr<RunnerProcess>>;

  Runner(std::string device_id, RunnerOptions options)
      : device_id_(std::move(device_id)), options_(std::move(options)) {}
  Result<void> ensure_process();
  void warm_up_spare();
  Result<nlohmann::json> exchange(const CheckJob& job);

  std::string device_id_;
  RunnerOptions options_;
  DeviceInfo info_;
  std::unique_ptr<RunnerProcess> process_;  // null: to be replaced
  std::future<Started> spare_;              // invalid: none
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
  std::unique_ptr<Runner> acquire();
  void release(std::unique_ptr<Runner> runner);

  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Runner>> idle_;
  DeviceInfo info_;
};

}  // namespace assay
