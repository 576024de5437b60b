// Theory of operation
//
// A device lives in a process of its own, assay-runner, started in the sandbox and spoken to over
// one end of a socket pair: one request, one reply. The process executes candidates' device code
// (on the virtual device with our own interpreter, on a GPU through the driver), so it may die,
// hang, or be left with a broken context; the coordinator must survive all of that. The client
// kills and replaces it when it dies, does not answer in time, or says that its device is not
// healthy any more. Replies are parsed with bounds.
//
// Artifacts are sent once and then named by key; both sides forget the oldest beyond a fixed number.
#include "evaluator/runner/runner.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/install.h"
#include "evaluator/runner/limits.h"
#include "evaluator/runner/messages.h"

namespace assay {

using nlohmann::json;

namespace {

/// Start of a process and of a CUDA context.
constexpr double kStartSeconds = 60;
/// What a job may take beside the replays themselves: fills, hashes, comparison.
constexpr double kOverheadSeconds = 120;

Error error_of(const json& reply) {
  const json& error = reply.at("error");
  const int kind = error.value("kind", static_cast<int>(ErrorKind::internal));
  const bool known = kind >= 0 && kind <= static_cast<int>(ErrorKind::internal);
  return Error{known ? static_cast<ErrorKind>(kind) : ErrorKind::internal,
               error.value("message", "the runner reported an error without a message")};
}

}  // namespace

Result<std::unique_ptr<Runner>> Runner::start(const std::string& device_id,
                                              const RunnerOptions& options) {
  std::unique_ptr<Runner> runner(new Runner(device_id, options));
  RETURN_IF_ERROR(runner->launch());
  return runner;
}

Runner::~Runner() { discard(); }

int Runner::pid() const { return process_ ? process_->pid() : -1; }

void Runner::discard() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  process_.reset();
  artifacts_.clear();
}

Result<void> Runner::launch() {
  ASSIGN_OR_RETURN(const auto program, installed_file("bin/assay-runner"));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{ErrorKind::io, "cannot create a socket pair for a runner"};
  socket_ = ends[0];
  sandbox::Command command;
  command.arguments = {program.string(), device_id_, options_.arch,
                       std::to_string(options_.threads)};
  command.environment = {{"PATH", "/usr/bin:/bin"}};
  command.mounts = {{program.parent_path(), {}, false},
                    {program.parent_path().parent_path() / "lib", {}, false}};
  command.descriptors = {ends[1]};
  sandbox::Limits limits;
  limits.wall = limits.cpu = std::chrono::milliseconds(0);  // lives as long as its client
  limits.memory_bytes = size_t{16} << 30;
  limits.processes = 512;
  auto process = sandbox::start(command, limits, sandbox::Policy::gpu_runner);
  close(ends[1]);
  if (!process.ok()) {
    discard();
    return process.error();
  }
  process_ = *std::move(process);
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::milliseconds(static_cast<int64_t>(1e3 * kStartSeconds));
  const Result<json> hello = receive_message(socket_, deadline);
  if (!hello.ok() || hello->contains("error") || !hello->contains("info")) {
    Error error = hello.ok() && hello->contains("error")
                      ? error_of(*hello)
                      : Error{ErrorKind::device, "a device's runner process did not start"};
    if (const auto outcome = process_->wait(std::chrono::milliseconds(100));
        outcome && !outcome->standard_error.empty())
      error.message += ": " + outcome->standard_error.substr(0, 500);
    discard();
    return error;
  }
  try {
    info_ = hello->at("info").get<DeviceInfo>();
  } catch (const json::exception& exception) {
    discard();
    return Error{ErrorKind::invalid, exception.what()};
  }
  return {};
}

Result<json> Runner::call(const json& request, double seconds) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::milliseconds(static_cast<int64_t>(1e3 * seconds));
  RETURN_IF_ERROR(send_message(socket_, request));
  return receive_message(socket_, deadline);
}

Result<void> Runner::send_artifact(const Artifact& artifact) {
  if (std::ranges::count(artifacts_, artifact.key) > 0) return {};
  json message = artifact_message(artifact);
  message["type"] = "artifact";
  ASSIGN_OR_RETURN(const json reply, call(message, kOverheadSeconds));
  if (reply.contains("error")) return error_of(reply);
  artifacts_.push_back(artifact.key);
  if (artifacts_.size() > kRunnerArtifacts) artifacts_.erase(artifacts_.begin());
  return {};
}

Result<CheckReport> Runner::check(const CheckJob& job) {
  if (!process_) RETURN_IF_ERROR(launch());
  const auto run = [&]() -> Result<json> {
    RETURN_IF_ERROR(send_artifact(*job.reference));
    RETURN_IF_ERROR(send_artifact(*job.candidate));
    if (std::ranges::count(artifacts_, job.reference->key) == 0)
      RETURN_IF_ERROR(send_artifact(*job.reference));  // the candidate's pushed it out
    json request = job_message(job);
    request["type"] = "check";
    return call(request, (job.repeats + 1) * job.run.deadline_seconds + kOverheadSeconds);
  };
  const Result<json> reply = run();
  if (!reply.ok()) {
    discard();
    if (reply.error().kind == ErrorKind::timeout) return reply.error();
    return Error{ErrorKind::device, fmt::format("{}; it is replaced", reply.error().message)};
  }
  if (!reply->value("healthy", true)) discard();
  if (reply->contains("error")) return error_of(*reply);
  if (!reply->contains("report"))
    return Error{ErrorKind::invalid, "a runner's reply has no report"};
  return parse_report(reply->at("report"));
}

Result<std::unique_ptr<RunnerPool>> RunnerPool::create(const std::string& device_id, int count,
                                                       const RunnerOptions& options) {
  std::unique_ptr<RunnerPool> pool(new RunnerPool);
  for (int i = 0; i < std::max(1, count); ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<Runner> runner, Runner::start(device_id, options));
    pool->idle_.push_back(std::move(runner));
  }
  pool->info_ = pool->idle_.front()->info();
  return pool;
}

Result<CheckReport> RunnerPool::check(const CheckJob& job) {
  std::unique_ptr<Runner> runner;
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return !idle_.empty(); });
    runner = std::move(idle_.back());
    idle_.pop_back();
  }
  Result<CheckReport> report = runner->check(job);
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(runner));
  }
  freed_.notify_one();
  return report;
}

}  // namespace assay
