#include "evaluator/runner/process.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/install.h"
#include "evaluator/runner/limits.h"
#include "evaluator/runner/messages.h"

namespace assay {

using nlohmann::json;

namespace {

/// What an answer without tensors may take.
constexpr size_t kSmallReplyBytes = size_t{1} << 20;
constexpr size_t kStderrShown = 500;

sandbox::Command command_for(const std::filesystem::path& program, const std::string& device_id,
                             const RunnerOptions& options, int socket) {
  sandbox::Command command;
  command.arguments = {program.string(), device_id, options.arch, std::to_string(options.threads)};
  command.environment = {{"PATH", "/usr/bin:/bin"}};
  const auto folder = program.parent_path();
  command.mounts = {{folder}};
  std::error_code ignored;  // a program without libraries of ours beside it has no lib folder
  if (const auto libraries = folder.parent_path() / "lib";
      std::filesystem::is_directory(libraries, ignored))
    command.mounts.push_back({libraries});
  command.descriptors = {socket};
  return command;
}

sandbox::Limits limits() {
  sandbox::Limits limits;
  limits.wall = limits.cpu = std::chrono::milliseconds(0);  // lives as long as its client
  limits.memory_bytes = size_t{16} << 30;
  limits.processes = 512;
  return limits;
}

}  // namespace

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::start(const std::string& device_id,
                                                            const RunnerOptions& options) {
  std::filesystem::path program = options.program;
  if (program.empty()) {
    ASSIGN_OR_RETURN(program, installed_file("bin/assay-runner"));
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{ErrorKind::io, "cannot create a socket pair for a runner"};
  auto process = sandbox::start(command_for(program, device_id, options, ends[1]), limits(),
                                sandbox::Policy::gpu_runner);
  close(ends[1]);
  if (!process.ok()) {
    close(ends[0]);
    return process.error();
  }
  std::unique_ptr<RunnerProcess> runner(new RunnerProcess(*std::move(process), ends[0], device_id));
  RETURN_IF_ERROR(runner->greet(deadline_in(options.start_seconds)));
  return runner;
}

RunnerProcess::~RunnerProcess() {
  process_->kill();
  close(socket_);
}

Result<void> RunnerProcess::greet(Deadline deadline) {
  const Result<json> hello = receive_message(socket_, deadline, kSmallReplyBytes);
  if (!hello.ok()) return failure(hello.error());
  if (const auto error = error_in(*hello)) return *error;
  try {
    info_ = hello->at("info").get<DeviceInfo>();
  } catch (const json::exception& exception) {
    return failure({ErrorKind::invalid, exception.what()});
  }
  return {};
}

bool RunnerProcess::idle() {
  pollfd entry{socket_, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

Result<json> RunnerProcess::exchange(const json& request, Deadline deadline,
                                     size_t reply_limit_bytes) {
  if (const Result<void> sent = send_message(socket_, request, deadline); !sent.ok())
    return sent.error().kind == ErrorKind::invalid ? sent.error() : failure(sent.error());
  Result<json> reply = receive_message(socket_, deadline, reply_limit_bytes);
  if (!reply.ok()) return failure(reply.error());
  return reply;
}

Result<void> RunnerProcess::hold(const Artifact& artifact, Deadline deadline) {
  if (std::ranges::count(artifacts_, artifact.key) > 0) return {};
  json message = artifact_message(artifact);
  message["type"] = "artifact";
  ASSIGN_OR_RETURN(const json reply, exchange(message, deadline, kSmallReplyBytes));
  if (const auto error = error_in(reply)) return *error;
  artifacts_.push_back(artifact.key);
  if (artifacts_.size() > kRunnerArtifacts) artifacts_.erase(artifacts_.begin());
  return {};
}

/// What became of the process, for people.
Error RunnerProcess::failure(const Error& error) {
  const std::string who = fmt::format("the runner process of device {}", device_id_);
  if (error.kind == ErrorKind::timeout)
    return {ErrorKind::timeout, who + " did not answer in time and was killed"};
  if (error.kind == ErrorKind::invalid)
    return {ErrorKind::device, fmt::format("{} answered nonsense: {}", who, error.message)};
  const auto outcome = process_->wait(std::chrono::seconds(1));
  if (!outcome) return {ErrorKind::device, who + " closed its connection and was killed"};
  std::string message = fmt::format("{} died: {}", who, outcome->explanation);
  const std::string words = presentable(outcome->standard_error);
  if (!words.empty())
    message += ": " + words.substr(words.size() - std::min(words.size(), kStderrShown));
  return {ErrorKind::device, message};
}

}  // namespace assay
