#include "evaluator/runner/messages.h"

#include <stdexcept>
#include <vector>

#include "evaluator/runner/reading.h"

namespace assay {

using nlohmann::json;
using reading::array_of;
using reading::count_of;
using reading::guarded;
using reading::number_of;

namespace {

constexpr size_t kMaxText = 1 << 20;

json binary(const std::string& bytes) {
  return json::binary(std::vector<uint8_t>(bytes.begin(), bytes.end()));
}

std::string bytes_of(const json& value) {
  const auto& binary = value.get_binary();
  return std::string(binary.begin(), binary.end());
}

std::string text_of(const json& value) { return presentable(value.get<std::string>()); }

json element_json(const std::optional<ElementError>& element) {
  if (!element) return nullptr;
  return json::array({element->index, element->absolute, element->relative});
}

std::optional<ElementError> element_from(const json& value) {
  if (value.is_null()) return std::nullopt;
  return ElementError{count_of<uint64_t>(value.at(0)), number_of(value.at(1)),
                      number_of(value.at(2))};
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
  comparison.elements = count_of<uint64_t>(value.at("elements"));
  comparison.mismatches = count_of<uint64_t>(value.at("mismatches"));
  comparison.nonfinite_mismatches = count_of<uint64_t>(value.at("nonfinite"));
  comparison.first = element_from(value.at("first"));
  comparison.worst = element_from(value.at("worst"));
  comparison.max_absolute = number_of(value.at("max_absolute"));
  comparison.max_bound_ratio = number_of(value.at("max_ratio"));
  comparison.rel_frobenius = number_of(value.at("frobenius"));
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
  launch.lane_instructions = count_of<uint64_t>(value.at(1));
  launch.warp_instructions = count_of<uint64_t>(value.at(2));
  launch.global_load_sectors = count_of<uint64_t>(value.at(3));
  launch.global_store_sectors = count_of<uint64_t>(value.at(4));
  launch.shared_bank_conflicts = count_of<uint64_t>(value.at(5));
  launch.uninitialised_shared_reads = count_of<uint64_t>(value.at(6));
  launch.elapsed_ms = number_of(value.at(7));
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

}  // namespace

std::string presentable(std::string text) {
  if (text.size() > kMaxText) text.resize(kMaxText);
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
  const std::string utf8 = json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(utf8).get<std::string>();
}

json error_message(const Error& error) {
  return {{"error", {{"kind", static_cast<int>(error.kind)}, {"message", error.message}}}};
}

std::optional<Error> error_in(const json& reply) {
  if (!reply.contains("error")) return std::nullopt;
  try {
    const json& value = reply.at("error");
    const auto kind = count_of<uint32_t>(value.at("kind"));
    if (kind <= static_cast<uint32_t>(ErrorKind::internal))
      return Error{static_cast<ErrorKind>(kind), text_of(value.at("message"))};
  } catch (const std::exception&) {  // falls through: an error that cannot be read
  }
  return Error{ErrorKind::invalid, "a runner reported an error in a form that cannot be read"};
}

json artifact_message(const Artifact& artifact) {
  json kernels = json::array();
  for (const Kernel& kernel : artifact.kernels) {
    json parameters = json::array();
    for (const KernelParameter& parameter : kernel.parameters)
      parameters.push_back(json::array({parameter.offset, parameter.bytes, parameter.alignment}));
    kernels.push_back({{"name", kernel.name},
                       {"demangled", kernel.demangled},
                       {"parameters", parameters},
                       {"static_shared_bytes", kernel.static_shared_bytes},
                       {"max_threads", kernel.max_threads}});
  }
  json variables = json::array();
  for (const ModuleVariable& variable : artifact.variables)
    variables.push_back(json::array({variable.name, variable.bytes, variable.constant}));
  return {{"key", artifact.key},         {"arch", artifact.arch},
          {"ptx", binary(artifact.ptx)}, {"cubin", binary(artifact.cubin)},
          {"kernels", kernels},          {"variables", variables}};
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
      kernel.static_shared_bytes = count_of<uint32_t>(value.at("static_shared_bytes"));
      kernel.max_threads = count_of<uint32_t>(value.at("max_threads"));
      for (const json& parameter : array_of(value.at("parameters")))
        kernel.parameters.push_back({count_of<uint32_t>(parameter.at(0)),
                                     count_of<uint32_t>(parameter.at(1)),
                                     count_of<uint32_t>(parameter.at(2))});
    }
    for (const json& value : array_of(message.at("variables")))
      artifact.variables.push_back(
          {text_of(value.at(0)), count_of<uint64_t>(value.at(1)), value.at(2).get<bool>()});
    return artifact;
  });
}

json job_message(const CheckJob& job) {
  return {{"bound", job.bound},
          {"candidate", job.candidate->key},
          {"candidate_plan", json(job.candidate_plan).dump()},
          {"reference", job.reference ? job.reference->key : ""},
          {"reference_plan", json(job.reference_plan).dump()},
          {"evidence", job.evidence.artifact ? job.evidence.artifact->key : ""},
          {"evidence_plan", json(job.evidence.plan).dump()},
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
                     parsed.seed = count_of<uint64_t>(message.at("seed"));
                     parsed.repeats = message.at("repeats").get<int>();
                     parsed.run.instruction_budget =
                         count_of<uint64_t>(message.at("instruction_budget"));
                     parsed.run.deadline_seconds = number_of(message.at("deadline_seconds"));
                     parsed.want_outputs = message.at("want_outputs").get<bool>();
                     parsed.want_expected = message.at("want_expected").get<bool>();
                     return parsed;
                   }));
  ASSIGN_OR_RETURN(const std::string candidate_plan,
                   guarded("plan", [&] { return plan("candidate_plan"); }));
  ASSIGN_OR_RETURN(const std::string reference_plan,
                   guarded("plan", [&] { return plan("reference_plan"); }));
  ASSIGN_OR_RETURN(const std::string evidence_plan,
                   guarded("plan", [&] { return plan("evidence_plan"); }));
  ASSIGN_OR_RETURN(job.evidence.plan, parse_plan(evidence_plan));
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
    report.printed = presentable(bytes_of(message.at("printed")));
    report.source_line = count_of<uint32_t>(message.at("source_line"));
    report.candidate_ms = number_of(message.at("candidate_ms"));
    report.check_ms = number_of(message.at("check_ms"));
    report.outputs = tensors_from(message.at("outputs"));
    report.inputs = tensors_from(message.at("inputs"));
    report.expected = tensors_from(message.at("expected"));
    return report;
  });
}

}  // namespace assay
