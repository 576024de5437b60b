// assay-runner: holds one device and answers jobs over the socket it was started with.
// Usage: assay-runner DEVICE ARCH THREADS
#include <fmt/format.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <string>

#include "evaluator/runner/device_factory.h"
#include "evaluator/runner/limits.h"
#include "evaluator/runner/messages.h"

namespace assay {
namespace {

using nlohmann::json;

constexpr auto kForever = std::chrono::hours(24 * 365);

json error_reply(const Error& error) {
  return {{"error", {{"kind", static_cast<int>(error.kind)}, {"message", error.message}}}};
}

class Server {
 public:
  explicit Server(Device& device) : device_(device) {}

  /// Answers until the other side closes the socket.
  int serve() {
    for (;;) {
      const Result<json> request =
          receive_message(kRunnerSocket, std::chrono::steady_clock::now() + kForever);
      if (!request.ok()) return request.error().kind == ErrorKind::io ? 0 : 1;
      if (!send_message(kRunnerSocket, answer(*request)).ok()) return 1;
    }
  }

 private:
  json answer(const json& request) {
    const std::string type = request.value("type", "");
    if (type == "artifact") {
      Result<Artifact> artifact = parse_artifact(request);
      if (!artifact.ok()) return error_reply(artifact.error());
      artifacts_.push_back(*std::move(artifact));
      if (artifacts_.size() > kRunnerArtifacts) artifacts_.pop_front();
      return {{"ok", true}};
    }
    if (type == "check") {
      const Result<CheckReport> report = run_job(request);
      json reply = report.ok() ? json{{"report", report_message(*report)}}
                               : error_reply(report.error());
      reply["healthy"] = device_.healthy();
      return reply;
    }
    return error_reply({ErrorKind::invalid, "unknown request: " + type});
  }

  Result<CheckReport> run_job(const json& request) {
    ASSIGN_OR_RETURN(CheckJob job, parse_job(request));
    job.candidate = find(request.value("candidate", ""));
    job.reference = find(request.value("reference", ""));
    if (!job.candidate || !job.reference)
      return Error{ErrorKind::internal, "a job names an artifact that the runner does not hold"};
    return check(device_, job);
  }

  const Artifact* find(const std::string& key) const {
    for (const Artifact& artifact : artifacts_)
      if (artifact.key == key) return &artifact;
    return nullptr;
  }

  Device& device_;
  std::deque<Artifact> artifacts_;
};

int run(const std::string& device_id, const std::string& arch, int threads) {
  const Result<std::unique_ptr<Device>> device = make_device(device_id, arch, threads);
  const json hello = device.ok() ? json{{"info", (*device)->info()}} : error_reply(device.error());
  if (!send_message(kRunnerSocket, hello).ok() || !device.ok()) return 1;
  return Server(**device).serve();
}

}  // namespace
}  // namespace assay

int main(int argument_count, char** arguments) {
  if (argument_count != 4) {
    fmt::print(stderr, "assay-runner is started by assay, not by hand\n");
    return 2;
  }
  return assay::run(arguments[1], arguments[2], std::atoi(arguments[3]));
}
