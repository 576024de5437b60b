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
#include "evaluator/timing/timed_case.h"

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
  /// run_cost() of a job without a reference, likewise.
  Result<std::optional<double>> cost(const CheckJob& job);
  /// Times a case, likewise. `fresh`: in a process that has run nothing before.
  Result<TimingReport> time(const TimeJob& job, bool fresh);
  /// Measures the device's ceilings, likewise.
  Result<DeviceProfile> calibrate();

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
  /// Sends the artifacts and the request; the reply, with what went wrong taken care of.
  Result<nlohmann::json> ask(std::vector<const Artifact*> artifacts, nlohmann::json request,
                             Deadline deadline, size_t reply_limit_bytes);
  Error nonsense(const Error& error);

  std::string device_id_;
  RunnerOptions options_;
  DeviceInfo info_;
  std::unique_ptr<RunnerProcess> process_;  // null: to be replaced
  std::future<Started> spare_;              // invalid: none
  bool used_ = false;                       // the process has been sent a job
};

/// Several runners of devices of the same kind, shared by threads.
class RunnerPool {
 public:
  /// `devices`: "virtual" (then `count` runners share its cores), "cuda:N", several of those with
  /// commas, or "cuda", every GPU of this machine; a GPU has one runner. Errors: as
  /// Runner::start(); usage where the GPUs are not all of one kind.
  static Result<std::unique_ptr<RunnerPool>> create(const std::string& devices, int count,
                                                    const RunnerOptions& options);
  /// Of the first device.
  const DeviceInfo& info() const { return info_; }
  size_t size() const { return size_; }

  /// Runs a job on a free runner, waiting for one if need be.
  Result<CheckReport> check(const CheckJob& job);
  Result<std::optional<double>> cost(const CheckJob& job);
  Result<TimingReport> time(const TimeJob& job, bool fresh);
  Result<DeviceProfile> calibrate();

 private:
  RunnerPool() = default;
  Result<void> add(const std::string& device_id, const RunnerOptions& options);
  template <typename Work>
  auto with_runner(const Work& work);
  std::unique_ptr<Runner> acquire();
  void release(std::unique_ptr<Runner> runner);

  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Runner>> idle_;
  DeviceInfo info_;
  size_t size_ = 0;
};

}  // namespace assay
