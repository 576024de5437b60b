// One runner process, from start to end. It never comes back to life: Runner replaces it.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/compile/artifact.h"
#include "evaluator/device/info.h"
#include "evaluator/runner/frame.h"
#include "sandbox/sandbox.h"

namespace assay {

struct RunnerOptions {
  int threads = 0;             // CPU threads of a virtual device; 0: all cores
  std::string arch = "sm_90";  // of a virtual device
  /// Keeps a second process with its device ready, so that replacing one costs no start. It takes
  /// the memory of a second device context.
  bool warm_spare = false;
  double start_seconds = 60;      // until a new process has its device
  double overhead_seconds = 120;  // what a job may take beside its replays: fills, comparison, ...
  std::filesystem::path program;  // what is started; empty: bin/assay-runner
};

class RunnerProcess {
 public:
  /// Starts the program in the sandbox and waits for its device. Errors: no such device, no driver.
  static Result<std::unique_ptr<RunnerProcess>> start(const std::string& device_id,
                                                      const RunnerOptions& options);
  /// Ends the process.
  ~RunnerProcess();
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;

  const DeviceInfo& info() const { return info_; }
  /// Host process id.
  int pid() const { return process_->pid(); }
  /// False when it ended, or says something without having been asked.
  bool idle();

  /// One request, one reply of at most `reply_limit_bytes`. After an Error (timeout: no reply in
  /// time; invalid: the request is too large, nothing happened; device: everything else) other than
  /// invalid the process is of no more use. The message says how it ended, where it did.
  Result<nlohmann::json> exchange(const nlohmann::json& request, Deadline deadline,
                                  size_t reply_limit_bytes);

  /// Sends the artifact unless the process holds it already. Errors as exchange(), and those that
  /// the process reports.
  Result<void> hold(const Artifact& artifact, Deadline deadline);

 private:
  RunnerProcess(std::unique_ptr<sandbox::Process> process, int socket, std::string device_id)
      : process_(std::move(process)), socket_(socket), device_id_(std::move(device_id)) {}
  Result<void> greet(Deadline deadline);
  Error failure(const Error& error);

  std::unique_ptr<sandbox::Process> process_;
  int socket_;
  std::string device_id_;
  DeviceInfo info_;
  std::vector<std::string> artifacts_;  // keys that the process holds, oldest first
};

}  // namespace assay
