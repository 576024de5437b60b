#include "evaluator/compile/artifact_cache.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/files.h"

namespace assay {
namespace {

constexpr std::string_view kFormat = "assay-compilation 1\n";
constexpr size_t kDigestLength = 64;
constexpr size_t kMaximumFile = size_t{1} << 30;

nlohmann::json to_json(const std::vector<Diagnostic>& diagnostics) {
  nlohmann::json json = nlohmann::json::array();
  for (const Diagnostic& item : diagnostics)
    json.push_back({static_cast<int>(item.severity), item.line, item.column, item.message});
  return json;
}

std::vector<Diagnostic> diagnostics_from(const nlohmann::json& json) {
  std::vector<Diagnostic> diagnostics;
  for (const nlohmann::json& item : json)
    diagnostics.push_back({static_cast<Diagnostic::Severity>(item.at(0).get<int>()),
                           item.at(1).get<uint32_t>(), item.at(2).get<uint32_t>(),
                           item.at(3).get<std::string>()});
  return diagnostics;
}

nlohmann::json to_json(const Kernel& kernel) {
  nlohmann::json parameters = nlohmann::json::array();
  for (const KernelParameter& parameter : kernel.parameters)
    parameters.push_back({parameter.offset, parameter.bytes, parameter.alignment});
  return {kernel.name,
          kernel.demangled,
          std::move(parameters),
          {kernel.registers, kernel.spill_store_bytes, kernel.spill_load_bytes, kernel.stack_bytes,
           kernel.static_shared_bytes, kernel.max_threads}};
}

Kernel kernel_from(const nlohmann::json& json) {
  Kernel kernel;
  kernel.name = json.at(0).get<std::string>();
  kernel.demangled = json.at(1).get<std::string>();
  for (const nlohmann::json& item : json.at(2))
    kernel.parameters.push_back(
        {item.at(0).get<uint32_t>(), item.at(1).get<uint32_t>(), item.at(2).get<uint32_t>()});
  uint32_t* const figures[] = {&kernel.registers,           &kernel.spill_store_bytes,
                               &kernel.spill_load_bytes,    &kernel.stack_bytes,
                               &kernel.static_shared_bytes, &kernel.max_threads};
  for (size_t i = 0; i < std::size(figures); ++i) *figures[i] = json.at(3).at(i).get<uint32_t>();
  return kernel;
}

nlohmann::json header_of(const Artifact& artifact) {
  nlohmann::json kernels = nlohmann::json::array();
  for (const Kernel& kernel : artifact.kernels) kernels.push_back(to_json(kernel));
  nlohmann::json variables = nlohmann::json::array();
  for (const ModuleVariable& variable : artifact.variables)
    variables.push_back({variable.name, variable.bytes, variable.constant});
  return {{"key", artifact.key},
          {"arch", artifact.arch},
          {"kernels", std::move(kernels)},
          {"variables", std::move(variables)},
          {"diagnostics", to_json(artifact.diagnostics)},
          {"compile_ms", artifact.compile_ms},
          {"sizes",
           {artifact.ptx.size(), artifact.cubin.size(), artifact.launcher.size(),
            artifact.log.size()}}};
}

nlohmann::json header_of(const CompileFailure& failure) {
  return {{"failure", static_cast<int>(failure.kind)},
          {"reason", failure.reason},
          {"explanation", failure.explanation},
          {"diagnostics", to_json(failure.diagnostics)},
          {"sizes", {failure.log.size()}}};
}

/// Cuts sections off the front of `bytes` as the sizes say.
void read_sections(const nlohmann::json& sizes, std::string_view bytes,
                   std::initializer_list<std::string*> sections) {
  size_t index = 0;
  for (std::string* section : sections) {
    const size_t size = sizes.at(index++).get<size_t>();
    if (size > bytes.size()) throw std::out_of_range("section");
    section->assign(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

CompileOutcome outcome_from(const nlohmann::json& header, std::string_view sections) {
  CompileOutcome outcome;
  if (header.contains("failure")) {
    CompileFailure failure;
    failure.kind = static_cast<CompileFailure::Kind>(header.at("failure").get<int>());
    failure.reason = header.at("reason").get<std::string>();
    failure.explanation = header.at("explanation").get<std::string>();
    failure.diagnostics = diagnostics_from(header.at("diagnostics"));
    read_sections(header.at("sizes"), sections, {&failure.log});
    outcome.failure = std::move(failure);
    return outcome;
  }
  auto artifact = std::make_shared<Artifact>();
  artifact->key = header.at("key").get<std::string>();
  artifact->arch = header.at("arch").get<std::string>();
  for (const nlohmann::json& item : header.at("kernels"))
    artifact->kernels.push_back(kernel_from(item));
  for (const nlohmann::json& item : header.at("variables"))
    artifact->variables.push_back(
        {item.at(0).get<std::string>(), item.at(1).get<uint64_t>(), item.at(2).get<bool>()});
  artifact->diagnostics = diagnostics_from(header.at("diagnostics"));
  artifact->compile_ms = header.at("compile_ms").get<double>();
  artifact->from_cache = true;
  read_sections(header.at("sizes"), sections,
                {&artifact->ptx, &artifact->cubin, &artifact->launcher, &artifact->log});
  outcome.artifact = std::move(artifact);
  return outcome;
}

}  // namespace

std::string serialize(const CompileOutcome& outcome) {
  const nlohmann::json header =
      outcome.failure ? header_of(*outcome.failure) : header_of(*outcome.artifact);
  // Compilers quote the source, which need not be UTF-8 where a message was cut.
  std::string body = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  if (outcome.failure) {
    body += outcome.failure->log;
  } else {
    const Artifact& artifact = *outcome.artifact;
    body += artifact.ptx + artifact.cubin + artifact.launcher + artifact.log;
  }
  return std::string(kFormat) + sha256(body) + '\n' + body;
}

std::optional<CompileOutcome> deserialize(std::string_view bytes) {
  if (!bytes.starts_with(kFormat)) return {};
  bytes.remove_prefix(kFormat.size());
  if (bytes.size() < kDigestLength + 1) return {};
  const std::string_view digest = bytes.substr(0, kDigestLength);
  const std::string_view body = bytes.substr(kDigestLength + 1);
  if (bytes[kDigestLength] != '\n' || sha256(body) != digest) return {};
  const size_t end = body.find('\n');
  if (end == std::string_view::npos) return {};
  try {
    return outcome_from(nlohmann::json::parse(body.substr(0, end)), body.substr(end + 1));
  } catch (const std::exception&) {  // of another version of the format
    return {};
  }
}

std::filesystem::path ArtifactCache::file(const std::string& key) const {
  return folder_ / key.substr(0, 2) / key;
}

std::optional<CompileOutcome> ArtifactCache::find(const std::string& key) const {
  const auto bytes = read_file(file(key), kMaximumFile);
  if (!bytes.ok()) return {};
  auto outcome = deserialize(*bytes);
  if (!outcome) {
    std::error_code ignored;
    std::filesystem::remove(file(key), ignored);
  }
  return outcome;
}

void ArtifactCache::store(const std::string& key, const CompileOutcome& outcome) const {
  std::error_code error;
  std::filesystem::create_directories(file(key).parent_path(), error);
  if (error) return;
  (void)write_file(file(key), serialize(outcome));
}

}  // namespace assay
