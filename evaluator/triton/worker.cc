// Theory of operation
//
// Of the time that a recording takes, half goes into importing Triton and setting up its compiler,
// and neither needs the candidate. So workers do both ahead (python/assay_triton/worker.py) and
// wait for the candidate on a socket. Every worker has a sandbox of its own and records one
// candidate: what that leaves behind, in memory or in files, ends with it and meets no other.
//
// The wall time counts from when the candidate was handed over, since a worker may wait for hours;
// the sandbox keeps the limits of processor time and memory.
#include "evaluator/triton/worker.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/install.h"
#include "evaluator/plan/limits.h"
#include "evaluator/triton/files.h"
#include "evaluator/triton/installation.h"

namespace assay::triton {
namespace {

Result<sandbox::Command> make_command(int socket) {
  ASSIGN_OR_RETURN(const Installation installation, find_installation());
  ASSIGN_OR_RETURN(const std::filesystem::path package, data_folder("python"));
  sandbox::Command command;
  command.arguments = {installation.python.string(), "-m", "assay_triton.worker"};
  command.environment = {{"PATH", "/usr/bin:/bin"},
                         {"HOME", "."},
                         {"LC_ALL", "C.UTF-8"},
                         {"PYTHONPATH", package.string()},
                         {"PYTHONDONTWRITEBYTECODE", "1"},
                         {"PYTHONHASHSEED", "0"},
                         {"TRITON_CACHE_DIR", "cache"}};
  for (const auto& folder : installation.folders) command.mounts.push_back({folder});
  command.mounts.push_back({package});
  for (const int number : {0, 1})
    for (const char* file : {kPlan, kKernels, kModule, kFailure, kTuners})
      command.outputs.push_back(of_recording(number, file));
  command.descriptors = {socket};
  return command;
}

/// A worker that is not there to read any more is noticed by its end.
void send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

}  // namespace

sandbox::Limits recording_limits() {
  sandbox::Limits limits;
  limits.cpu = std::chrono::seconds(30);
  limits.wall = std::chrono::seconds(120);  // on a busy machine
  limits.memory_bytes = size_t{4} << 30;
  limits.file_bytes = kPtxBytes;
  limits.output_bytes = kOutputBytes;
  limits.processes = 32;
  return limits;
}

Result<std::unique_ptr<Worker>> Worker::start() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{ErrorKind::io, "cannot create a socket pair for a recorder of Triton candidates"};
  auto process = [&]() -> Result<std::unique_ptr<sandbox::Process>> {
    ASSIGN_OR_RETURN(const sandbox::Command command, make_command(ends[1]));
    sandbox::Limits limits = recording_limits();
    limits.wall = std::chrono::milliseconds(0);
    return sandbox::start(command, limits, sandbox::Policy::python);
  }();
  close(ends[1]);
  if (!process.ok()) {
    close(ends[0]);
    return process.error();
  }
  return std::unique_ptr<Worker>(new Worker(*std::move(process), ends[0]));
}

Worker::~Worker() {
  process_->kill();
  close(channel_);
}

sandbox::Outcome Worker::record(const std::string& source, const nlohmann::json& request) {
  const sandbox::Limits limits = recording_limits();
  const timeval patience{std::chrono::duration_cast<std::chrono::seconds>(limits.wall).count(), 0};
  setsockopt(channel_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  send_all(channel_, nlohmann::json{{"candidate", source}, {"request", request}}.dump());
  shutdown(channel_, SHUT_WR);
  if (auto outcome = process_->wait(limits.wall)) return *std::move(outcome);
  process_->kill();
  sandbox::Outcome outcome;
  outcome.exit = sandbox::Exit::timeout;
  outcome.explanation = "it did not end in time";
  return outcome;
}

bool Worker::waits() const { return !process_->wait(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<Worker>> Workers::take() {
  {
    const std::lock_guard lock(mutex_);
    while (!ready_.empty()) {
      std::unique_ptr<Worker> worker = std::move(ready_.back());
      ready_.pop_back();
      if (worker->waits()) return worker;  // what ends one that has no candidate yet is our trouble
    }
  }
  return Worker::start();
}

void Workers::prepare() {
  const auto full = [this] { return ready_.size() >= most_; };
  {
    const std::lock_guard lock(mutex_);
    if (full()) return;
  }
  auto worker = Worker::start();
  const std::lock_guard lock(mutex_);
  if (worker.ok() && !full()) ready_.push_back(*std::move(worker));
}

}  // namespace assay::triton
