#include "evaluator/runner/messages.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

namespace assay {

using nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kMaxItems = 20'000;
constexpr size_t kMaxText = 1 << 20;

json binary(const std::string& bytes) {
  return json::binary(std::vector<uint8_t>(bytes.begin(), bytes.end()));
}

std::string bytes_of(const json& value) {
  const auto& binary = value.get_binary();
  return std::string(binary.begin(), binary.end());
}

std::string text_of(const json& value) {
  std::string text = value.get<std::string>();
  if (text.size() > kMaxText) text.resize(kMaxText);
  return text;
}

const json& array_of(const json& value) {
  if (!value.is_array() || value.size() > kMaxItems) throw std::runtime_error("a list is too long");
  return value;
}

/// Runs `parse`; what the JSON library throws becomes an Error.
template <typename Parse>
auto guarded(const char* what, const Parse& parse) -> Result<decltype(parse())> {
  try {
    return parse();
  } catch (const std::exception& error) {
    return Error{ErrorKind::invalid, fmt::format("a malformed {}: {}", what, error.what())};
  }
}

json element_json(const std::optional<ElementError>& element) {
  if (!element) return nullptr;
  return json::array({element->index, element->absolute, element->relative});
}

std::optional<ElementError> element_from(const json& value) {
  if (value.is_null()) return std::nullopt;
  return ElementError{value.at(0).get<uint64_t>(), value.at(1).get<double>(),
                      value.at(2).get<double>()};
}

json comparison_json(const TensorComparison& tensor) {
  const Comparison& comparison = tensor.comparison;
  return {{"tensor", tensor.tensor},
          {"elements", comparison.elements},
          {"mismatches", comparison.mismatches},
          {"nonfinite", comparison.nonfinite_mismatches},
          {"first", element_json(comparison.first)},
          {"worst", element_json(comparison.worst)},
          {"max_absolute", comparison.max_absolute},
          {"max_ratio", comparison.max_bound_ratio},
          {"frobenius", comparison.rel_frobenius},
          {"frobenius_exceeded", comparison.frobenius_exceeded}};
}

TensorComparison comparison_from(const json& value) {
  TensorComparison tensor;
  tensor.tensor = text_of(value.at("tensor"));
  Comparison& comparison = tensor.comparison;
  comparison.elements = value.at("elements").get<uint64_t>();
  comparison.mismatches = value.at("mismatches").get<uint64_t>();
  comparison.nonfinite_mismatches = value.at("nonfinite").get<uint64_t>();
  comparison.first = element_from(value.at("first"));
  comparison.worst = element_from(value.at("worst"));
  comparison.max_absolute = value.at("max_absolute").get<double>();
  comparison.max_bound_ratio = value.at("max_ratio").get<double>();
  comparison.rel_frobenius = value.at("frobenius").get<double>();
  comparison.frobenius_exceeded = value.at("frobenius_exceeded").get<bool>();
  return tensor;
}

json launch_json(const LaunchStatistics& launch) {
  return json::array({launch.kernel, launch.lane_instructions, launch.warp_instructions,
                      launch.global_load_sectors, launch.global_store_sectors,
                      launch.shared_bank_conflicts, launch.uninitialised_shared_reads,
                      launch.elapsed_ms});
}

LaunchStatistics launch_from(const json& value) {
  LaunchStatistics launch;
  launch.kernel = text_of(value.at(0));
  launch.lane_instructions = value.at(1).get<uint64_t>();
  launch.warp_instructions = value.at(2).get<uint64_t>();
  launch.global_load_sectors = value.at(3).get<uint64_t>();
  launch.global_store_sectors = value.at(4).get<uint64_t>();
  launch.shared_bank_conflicts = value.at(5).get<uint64_t>();
  launch.uninitialised_shared_reads = value.at(6).get<uint64_t>();
  launch.elapsed_ms = value.at(7).get<double>();
  return launch;
}

json tensors_json(const std::map<std::string, std::string>& tensors) {
  json object = json::object();
  for (const auto& [tensor, bytes] : tensors) object[tensor] = binary(bytes);
  return object;
}

std::map<std::string, std::string> tensors_from(const json& value) {
  std::map<std::string, std::string> tensors;
  for (const auto& [tensor, bytes] : value.items()) tensors[tensor] = bytes_of(bytes);
  return tensors;
}

Error gone(const char* what) {
  return Error{ErrorKind::io, fmt::format("the device's runner process is gone ({}: {})", what,
                                          std::strerror(errno))};
}

/// Reads exactly `count` bytes before the deadline.
Result<void> receive_bytes(int socket, void* target, size_t count, Clock::time_point deadline) {
  auto* bytes = static_cast<char*>(target);
  while (count > 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{socket, POLLIN, 0};
    const auto wait = std::clamp<int64_t>(left + 1, 0, std::numeric_limits<int>::max());
    const int ready = left < 0 ? 0 : poll(&entry, 1, static_cast<int>(wait));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0)
      return Error{ErrorKind::timeout, "the device's runner process did not answer in time"};
    const ssize_t received = recv(socket, bytes, count, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return gone("receive");
    bytes += received;
    count -= static_cast<size_t>(received);
  }
  return {};
}

}  // namespace

Result<void> send_message(int socket, const json& message) {
  std::vector<uint8_t> frame(4);
  json::to_cbor(message, frame);
  if (frame.size() - 4 > kMaxFrameBytes)
    return Error{ErrorKind::invalid,
                 fmt::format("a message of {} bytes is above the limit of {}", frame.size() - 4,
                             kMaxFrameBytes)};
  const auto length = static_cast<uint32_t>(frame.size() - 4);
  std::memcpy(frame.data(), &length, 4);
  size_t sent = 0;
  while (sent < frame.size()) {
    const ssize_t count = send(socket, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return gone("send");
    sent += static_cast<size_t>(count);
  }
  return {};
}

Result<json> receive_message(int socket, Clock::time_point deadline) {
  uint32_t length = 0;
  RETURN_IF_ERROR(receive_bytes(socket, &length, sizeof length, deadline));
  if (length > kMaxFrameBytes)
    return Error{ErrorKind::invalid, fmt::format("a message of {} bytes is too large", length)};
  std::vector<uint8_t> frame(length);
  RETURN_IF_ERROR(receive_bytes(socket, frame.data(), frame.size(), deadline));
  json message = json::from_cbor(frame, true, false);
  if (!message.is_object()) return Error{ErrorKind::invalid, "a message is not a CBOR object"};
  return message;
}

json artifact_message(const Artifact& artifact) {
  json kernels = json::array();
  for (const Kernel& kernel : artifact.kernels) {
    json parameters = json::array();
    for (const KernelParameter& parameter : kernel.parameters)
      parameters.push_back(
          json::array({parameter.offset, parameter.bytes, parameter.alignment}));
    kernels.push_back({{"name", kernel.name},
                       {"demangled", kernel.demangled},
                       {"parameters", parameters},
                       {"static_shared_bytes", kernel.static_shared_bytes},
                       {"max_threads", kernel.max_threads}});
  }
  json variables = json::array();
  for (const ModuleVariable& variable : artifact.variables)
    variables.push_back(json::array({variable.name, variable.bytes, variable.constant}));
  return {{"key", artifact.key},     {"arch", artifact.arch}, {"ptx", binary(artifact.ptx)},
          {"cubin", binary(artifact.cubin)}, {"kernels", kernels}, {"variables", variables}};
}

Result<Artifact> parse_artifact(const json& message) {
  return guarded("artifact", [&] {
    Artifact artifact;
    artifact.key = text_of(message.at("key"));
    artifact.arch = text_of(message.at("arch"));
    artifact.ptx = bytes_of(message.at("ptx"));
    artifact.cubin = bytes_of(message.at("cubin"));
    for (const json& value : array_of(message.at("kernels"))) {
      Kernel& kernel = artifact.kernels.emplace_back();
      kernel.name = text_of(value.at("name"));
      kernel.demangled = text_of(value.at("demangled"));
      kernel.static_shared_bytes = value.at("static_shared_bytes").get<uint32_t>();
      kernel.max_threads = value.at("max_threads").get<uint32_t>();
      for (const json& parameter : array_of(value.at("parameters")))
        kernel.parameters.push_back({parameter.at(0).get<uint32_t>(),
                                     parameter.at(1).get<uint32_t>(),
                                     parameter.at(2).get<uint32_t>()});
    }
    for (const json& value : array_of(message.at("variables")))
      artifact.variables.push_back(
          {text_of(value.at(0)), value.at(1).get<uint64_t>(), value.at(2).get<bool>()});
    return artifact;
  });
}

json job_message(const CheckJob& job) {
  return {{"bound", job.bound},
          {"candidate", job.candidate->key},
          {"candidate_plan", json(job.candidate_plan).dump()},
          {"reference", job.reference->key},
          {"reference_plan", json(job.reference_plan).dump()},
          {"seed", job.seed},
          {"repeats", job.repeats},
          {"instruction_budget", job.run.instruction_budget},
          {"deadline_seconds", job.run.deadline_seconds},
          {"want_outputs", job.want_outputs},
          {"want_expected", job.want_expected}};
}

Result<CheckJob> parse_job(const json& message) {
  const auto plan = [&](const char* key) { return message.at(key).get<std::string>(); };
  ASSIGN_OR_RETURN(CheckJob job, guarded("job", [&] {
                     CheckJob parsed;
                     message.at("bound").get_to(parsed.bound);
                     parsed.seed = message.at("seed").get<uint64_t>();
                     parsed.repeats = message.at("repeats").get<int>();
                     parsed.run.instruction_budget =
                         message.at("instruction_budget").get<uint64_t>();
                     parsed.run.deadline_seconds = message.at("deadline_seconds").get<double>();
                     parsed.want_outputs = message.at("want_outputs").get<bool>();
                     parsed.want_expected = message.at("want_expected").get<bool>();
                     return parsed;
                   }));
  ASSIGN_OR_RETURN(const std::string candidate_plan,
                   guarded("plan", [&] { return plan("candidate_plan"); }));
  ASSIGN_OR_RETURN(const std::string reference_plan,
                   guarded("plan", [&] { return plan("reference_plan"); }));
  ASSIGN_OR_RETURN(job.candidate_plan, parse_plan(candidate_plan));
  ASSIGN_OR_RETURN(job.reference_plan, parse_plan(reference_plan));
  return job;
}

json report_message(const CheckReport& report) {
  json comparisons = json::array(), launches = json::array();
  for (const TensorComparison& tensor : report.comparisons)
    comparisons.push_back(comparison_json(tensor));
  for (const LaunchStatistics& launch : report.launches) launches.push_back(launch_json(launch));
  return {{"outcome", name(report.outcome)},
          {"reason", report.reason},
          {"explanation", report.explanation},
          {"comparisons", comparisons},
          {"launches", launches},
          {"notes", report.notes},
          {"printed", binary(report.printed)},
          {"source_line", report.source_line},
          {"candidate_ms", report.candidate_ms},
          {"check_ms", report.check_ms},
          {"outputs", tensors_json(report.outputs)},
          {"inputs", tensors_json(report.inputs)},
          {"expected", tensors_json(report.expected)}};
}

Result<CheckReport> parse_report(const json& message) {
  return guarded("report", [&] {
    CheckReport report;
    const auto outcome = outcome_from_name(message.at("outcome").get<std::string>());
    if (!outcome) throw std::runtime_error("an unknown outcome");
    report.outcome = *outcome;
    report.reason = text_of(message.at("reason"));
    report.explanation = text_of(message.at("explanation"));
    for (const json& value : array_of(message.at("comparisons")))
      report.comparisons.push_back(comparison_from(value));
    for (const json& value : array_of(message.at("launches")))
      report.launches.push_back(launch_from(value));
    for (const json& value : array_of(message.at("notes"))) report.notes.push_back(text_of(value));
    report.printed = bytes_of(message.at("printed"));
    report.source_line = message.at("source_line").get<uint32_t>();
    report.candidate_ms = message.at("candidate_ms").get<double>();
    report.check_ms = message.at("check_ms").get<double>();
    report.outputs = tensors_from(message.at("outputs"));
    report.inputs = tensors_from(message.at("inputs"));
    report.expected = tensors_from(message.at("expected"));
    return report;
  });
}

}  // namespace assay
