#include "tests/record/recorded.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <vector>

#include "base/files.h"
#include "evaluator/compile/compiler.h"

namespace assay::recorded {

namespace {

const std::string& source() {
  static const std::string text =
      *read_file(std::filesystem::path(ASSAY_SOURCE_DIR) / "tests/record/solves.cu");
  return text;
}

/// The variants in the order of the file; a variant's place is the number that selects it.
const std::vector<std::string>& variants() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    const std::regex definition("void variant_(\\w+)\\(");
    for (std::sregex_iterator match(source().begin(), source().end(), definition), end;
         match != end; ++match)
      found.push_back((*match)[1]);
    return found;
  }();
  return names;
}

std::string entry() {
  std::string text =
      "void solve(const float* x, float* y, int variant, int n, cudaStream_t stream) {\n"
      "  switch (variant) {\n";
  for (size_t i = 0; i < variants().size(); ++i)
    text += fmt::format("    case {}: return variant_{}(x, y, n, stream);\n", i, variants()[i]);
  return text +
         "  }\n}\n"
         "extern \"C\" void assay_solve(void** a) {\n"
         "  solve(*(float**)a[0], *(float**)a[1], *(int*)a[2], *(int*)a[3], "
         "*(cudaStream_t*)a[4]);\n"
         "}\n";
}

BoundTensor tensor_of(const char* name, Direction direction) {
  BoundTensor tensor;
  tensor.name = name;
  tensor.direction = direction;
  tensor.shape = {kElements};
  tensor.elements = kElements;
  return tensor;
}

BoundScalar integer(const char* name, int64_t value) {
  BoundScalar scalar;
  scalar.name = name;
  scalar.integer = value;
  return scalar;
}

}  // namespace

const Artifact& artifact() {
  static const std::shared_ptr<const Artifact> compiled = []() -> std::shared_ptr<const Artifact> {
    auto compiler = Compiler::create();
    if (!compiler.ok()) throw std::runtime_error(compiler.error().message);
    CompileRequest request;
    request.source = source();
    request.entry = entry();
    const auto outcome = (*compiler)->compile(request);
    if (!outcome.ok()) throw std::runtime_error(outcome.error().message);
    if (outcome->failure)
      throw std::runtime_error(outcome->failure->explanation + "\n" + outcome->failure->log);
    return outcome->artifact;
  }();
  return *compiled;
}

const BoundCase& bound_case() {
  static const BoundCase bound = [] {
    BoundCase made;
    made.tensors = {tensor_of("x", Direction::in), tensor_of("y", Direction::out)};
    made.scalars = {integer("variant", 0), integer("n", kElements)};
    return made;
  }();
  return bound;
}

RecordOutcome record_variant(const std::string& name, const DeviceInfo& device) {
  const auto found = std::find(variants().begin(), variants().end(), name);
  if (found == variants().end()) {
    ADD_FAILURE() << "solves.cu has no variant_" << name;
    return {};
  }
  BoundCase bound = bound_case();
  bound.scalars[0].integer = found - variants().begin();
  auto outcome = record(artifact(), bound, device);
  if (!outcome.ok()) {
    ADD_FAILURE() << outcome.error().message;
    return {};
  }
  return *std::move(outcome);
}

LaunchPlan plan_of(const std::string& name) {
  const RecordOutcome outcome = record_variant(name);
  if (outcome.plan) return *outcome.plan;
  if (outcome.failure)
    ADD_FAILURE() << name << ": " << outcome.failure->reason << ": "
                  << outcome.failure->explanation;
  return {};
}

RecordFailure failure_of(const std::string& name) {
  const RecordOutcome outcome = record_variant(name);
  if (outcome.failure) return *outcome.failure;
  ADD_FAILURE() << name << " was recorded although it must fail";
  return {};
}

}  // namespace assay::recorded
