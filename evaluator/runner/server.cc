#include "evaluator/runner/server.h"

#include <deque>
#include <string>

#include "evaluator/check/run_cost.h"
#include "evaluator/runner/limits.h"
#include "evaluator/runner/messages.h"
#include "evaluator/runner/timing_messages.h"

namespace assay {

using nlohmann::json;

namespace {

class Server {
 public:
  Server(Device& device, int socket) : device_(device), socket_(socket) {}

  /// Answers until the other side closes the socket.
  int run() {
    for (;;) {
      const Result<json> request = receive_message(socket_, Deadline::max());
      if (!request.ok()) return request.error().kind == ErrorKind::io ? 0 : 1;
      Result<void> sent = send_message(socket_, answer(*request));
      if (!sent.ok() && sent.error().kind == ErrorKind::invalid)  // too large for a frame
        sent = send_message(socket_, with_health(error_message(sent.error())));
      if (!sent.ok()) return 1;
    }
  }

 private:
  json answer(const json& request) {
    const std::string type = request.value("type", "");
    if (type == "artifact") {
      Result<Artifact> artifact = parse_artifact(request);
      if (!artifact.ok()) return error_message(artifact.error());
      artifacts_.push_back(*std::move(artifact));
      if (artifacts_.size() > kRunnerArtifacts) artifacts_.pop_front();
      return {{"ok", true}};
    }
    if (type == "check") {
      const Result<CheckReport> report = run_job(request);
      return with_health(report.ok() ? json{{"report", report_message(*report)}}
                                     : error_message(report.error()));
    }
    if (type == "cost") {
      const Result<std::optional<double>> cost = run_cost_job(request);
      if (!cost.ok()) return with_health(error_message(cost.error()));
      return with_health({{"cost", *cost ? json(**cost) : json()}});
    }
    if (type == "time") {
      const Result<TimingReport> report = run_time_job(request);
      return with_health(report.ok() ? json{{"timing", timing_message(*report)}}
                                     : error_message(report.error()));
    }
    if (type == "calibrate") {
      const Result<DeviceProfile> profile = device_.calibrate();
      return with_health(profile.ok() ? json{{"profile", *profile}}
                                      : error_message(profile.error()));
    }
    return error_message({ErrorKind::invalid, "unknown request: " + type});
  }

  json with_health(json reply) const {
    reply["healthy"] = device_.healthy();
    return reply;
  }

  Result<CheckReport> run_job(const json& request) {
    ASSIGN_OR_RETURN(CheckJob job, parse_job(request));
    job.candidate = find(request.value("candidate", ""));
    job.reference = find(request.value("reference", ""));
    job.evidence.artifact = find(request.value("evidence", ""));
    if (!job.candidate || !job.reference)
      return Error{ErrorKind::internal, "a job names an artifact that the runner does not hold"};
    return check(device_, job);
  }

  Result<std::optional<double>> run_cost_job(const json& request) {
    ASSIGN_OR_RETURN(CheckJob job, parse_job(request));
    job.candidate = find(request.value("candidate", ""));
    if (!job.candidate)
      return Error{ErrorKind::internal, "a job names an artifact that the runner does not hold"};
    return run_cost(device_, job);
  }

  Result<TimingReport> run_time_job(const json& request) {
    ASSIGN_OR_RETURN(TimeJob job, parse_time_job(request));
    job.candidate = find(request.value("candidate", ""));
    job.baseline = find(request.value("baseline", ""));
    job.evidence.artifact = find(request.value("evidence", ""));
    if (!job.candidate || !job.baseline)
      return Error{ErrorKind::internal, "a job names an artifact that the runner does not hold"};
    return time_case(device_, job);
  }

  const Artifact* find(const std::string& key) const {
    for (const Artifact& artifact : artifacts_)
      if (artifact.key == key) return &artifact;
    return nullptr;
  }

  Device& device_;
  int socket_;
  std::deque<Artifact> artifacts_;
};

}  // namespace

int serve(const Result<std::unique_ptr<Device>>& device, int socket) {
  if (!device.ok()) {
    (void)send_message(socket, error_message(device.error()));
    return 1;
  }
  if (!send_message(socket, {{"info", (*device)->info()}}).ok()) return 1;
  return Server(**device, socket).run();
}

}  // namespace assay
