// Theory of operation
//
// A Triton candidate is a Python program that compiles as it runs: which kernels exist, and in
// which specialisation, depends on the arguments of a case. So compiling and recording are one step
// here, for each case:
//
//   assay (this file)                      a worker in the sandbox (worker.cc)
//   -----------------                      -----------------------------------
//   request: shapes, scalars, target,   -> Triton, with a driver that writes launches down;
//   two secret bases                       twice, in a process each (python/assay_triton)
//   two plans, two PTX modules          <-
//   they must be equal: pointers are
//   relocations in them, so whatever
//   differs depends on addresses
//   read PTX, assemble (compiler.cc)
//   check assumptions, validate
//
// All that comes back is the candidate's word, as with CUDA candidates (record/recorder.cc): it is
// parsed within bounds, and a plan that does not fit kernels, case and device is refused.
//
// Triton compiles for what it knows of the arguments: that pointers and numbers are divisible
// by 16. The recorder says which parameters of which kernel that was assumed of; here it is held
// against the plan, where the judge's buffers start at multiples of 256. Numbers that are 1 became
// part of the code, and the judge launches with the same numbers.
#include "evaluator/triton/recorder.h"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <variant>

#include "evaluator/plan/limits.h"
#include "evaluator/record/ending.h"
#include "evaluator/record/setup.h"
#include "evaluator/triton/files.h"

namespace assay::triton {
namespace {

using nlohmann::json;
using recording::failure;
using recording::printable;
using Kind = RecordFailure::Kind;

constexpr size_t kKernelsBytes = size_t{1} << 20;
constexpr size_t kExplanationBytes = 2'000;
constexpr size_t kTunersBytes = size_t{1} << 16;
constexpr size_t kTunerTextBytes = 200;
constexpr uint32_t kAssumedAlignment = 16;

json describe_arguments(const BoundCase& bound) {
  // Arguments are in the task's order: tensors, then scalars.
  json arguments = json::array();
  for (const BoundTensor& tensor : bound.tensors)
    arguments.push_back({{"tensor", {{"dtype", name(tensor.dtype)}, {"shape", tensor.shape}}}});
  for (const BoundScalar& scalar : bound.scalars)
    arguments.push_back(
        {{"scalar", is_floating(scalar.dtype) ? json(scalar.real) : json(scalar.integer)}});
  return arguments;
}

/// Two places for fake addresses that have nothing in common.
std::array<uint64_t, 2> secret_bases() {
  std::random_device random;
  const auto draw = [&random] { return (uint64_t{random()} << 8) & 0xff'ffff'ff00; };
  return {(uint64_t{1} << 44) + draw(), (uint64_t{3} << 44) + draw()};
}

json make_request(const BoundCase& bound, const DeviceInfo& target, const Request& request) {
  return {{"arguments", describe_arguments(bound)},
          {"device",
           {{"arch", request.arch},
            {"shared_bytes", target.shared_per_block_optin_bytes},
            {"multiprocessors", target.multiprocessors}}},
          {"choice", request.choice},
          {"bases", secret_bases()}};
}

/// The failure that the recorder wrote down: a reason, a line feed, a sentence.
RecordFailure parse_failure(const std::string& text) {
  static const std::map<std::string, Kind, std::less<>> kReasons = {
      {"torch_call", Kind::rejected},
      {"compile_error", Kind::compile_error},
      {"launch_limits", Kind::launch_error},
      {"no_solve", Kind::record_error},
      {"no_operations", Kind::record_error},
      {"host_read_back", Kind::record_error},
      {"unsupported_call", Kind::record_error},
      {"invalid_argument", Kind::record_error},
      {"plan_limits", Kind::record_error},
      {"exception", Kind::record_error},
      {"exit", Kind::record_error},
      {"crash", Kind::record_error}};
  const size_t end = text.find('\n');
  const auto known = kReasons.find(text.substr(0, end));
  if (end == std::string::npos || known == kReasons.end())
    return failure("bad_plan", "the candidate wrote over its own recording");
  return failure(known->first, printable(text.substr(end + 1), kExplanationBytes), known->second);
}

/// The file that a recording left, if it did.
const std::string* find_file(const sandbox::Outcome& outcome, int number, const char* name) {
  const auto found = outcome.outputs.find(of_recording(number, name));
  return found == outcome.outputs.end() ? nullptr : &found->second;
}

/// What both recordings say of triton.autotune. Absent where they differ or broke the form.
std::optional<std::vector<Tuner>> parse_tuners(const sandbox::Outcome& outcome) {
  const std::string *first = find_file(outcome, 0, kTuners),
                    *second = find_file(outcome, 1, kTuners);
  std::vector<Tuner> tuners;
  if (!first && !second) return tuners;
  if (!first || !second || *first != *second || first->size() > kTunersBytes) return {};
  try {
    const json list = json::parse(*first);
    if (!list.is_array() || list.size() > kMostTuners) return {};
    for (const json& entry : list) {
      Tuner& tuner = tuners.emplace_back();
      tuner.kernel = printable(entry.at("kernel").get<std::string>(), kTunerTextBytes);
      const json& configurations = entry.at("configurations");
      if (!configurations.is_array() || configurations.size() < 2 ||
          configurations.size() > kMostConfigurations)
        return {};
      for (const json& text : configurations)
        tuner.configurations.push_back(printable(text.get<std::string>(), kTunerTextBytes));
    }
  } catch (const json::exception&) {
    return {};
  }
  return tuners;
}

/// What one of the two recordings left.
struct Files {
  std::string plan, kernels, module;
  bool operator==(const Files&) const = default;
};

std::variant<Files, RecordFailure> read_files(const sandbox::Outcome& outcome, int number) {
  const auto find = [&](const char* name) { return find_file(outcome, number, name); };
  if (const std::string* text = find(kFailure)) return parse_failure(*text);
  const std::string *plan = find(kPlan), *kernels = find(kKernels), *module = find(kModule);
  if (outcome.exit != sandbox::Exit::exited || outcome.code != 0 || !plan || !kernels || !module)
    return recording::explain_end(outcome, recording_limits());
  if (plan->size() > plan_limits::kPlanTextBytes || kernels->size() > kKernelsBytes)
    return failure("plan_limits", "the recording is larger than a plan may be");
  return Files{*plan, *kernels, *module};
}

/// The files on which both recordings agree.
std::variant<Files, RecordFailure> agree(const sandbox::Outcome& outcome) {
  auto first = read_files(outcome, 0), second = read_files(outcome, 1);
  if (auto* failed = std::get_if<RecordFailure>(&first)) return std::move(*failed);
  if (auto* failed = std::get_if<RecordFailure>(&second)) return std::move(*failed);
  if (std::get<Files>(first) != std::get<Files>(second))
    return failure("not_reproducible",
                   "launches depend on addresses, time or randomness: solve() was recorded twice, "
                   "with different device addresses, and the recordings differ");
  return std::get<Files>(std::move(first));
}

/// Parameters, by kernel and number, that the code assumes to be divisible by 16.
using Assumptions = std::map<std::string, std::set<size_t>>;

std::optional<Assumptions> parse_assumptions(const std::string& text) {
  Assumptions assumptions;
  try {
    const json description = json::parse(text);
    for (const json& kernel : description.at("kernels"))
      for (const json& number : kernel.at("divisible_by_16"))
        assumptions[kernel.at("label").get<std::string>()].insert(number.get<size_t>());
  } catch (const json::exception&) {
    return {};
  }
  return assumptions;
}

bool divisible(const Launch& launch, const KernelParameter& parameter) {
  for (const Relocation& relocation : launch.relocations)
    if (relocation.offset == parameter.offset)
      return relocation.target.offset % kAssumedAlignment == 0;
  uint64_t value = 0;
  if (parameter.bytes > sizeof value ||
      parameter.offset + parameter.bytes > launch.parameters.size())
    return false;
  std::memcpy(&value, launch.parameters.data() + parameter.offset, parameter.bytes);
  return value % kAssumedAlignment == 0;
}

/// The first assumption that the plan does not keep.
std::optional<RecordFailure> broken_assumption(const LaunchPlan& plan, const Artifact& artifact,
                                               const Assumptions& assumptions) {
  for (const Operation& operation : plan.operations) {
    const auto* launch = std::get_if<Launch>(&operation.action);
    if (!launch) continue;
    const Kernel* kernel = artifact.find_kernel(launch->kernel);
    const auto assumed = assumptions.find(launch->kernel);
    if (!kernel || assumed == assumptions.end()) continue;
    for (const size_t number : assumed->second)
      if (number >= kernel->parameters.size() || !divisible(*launch, kernel->parameters[number]))
        return failure("specialisation",
                       fmt::format("kernel {} was compiled for a parameter {} that is divisible by "
                                   "{}, and is launched with one that is not",
                                   launch->kernel, number, kAssumedAlignment));
  }
  return {};
}

/// What a failed assembly means here.
RecordFailure of_compiler(const CompileFailure& compile) {
  return failure(
      compile.reason, printable(compile.explanation, kExplanationBytes),
      compile.kind == CompileFailure::Kind::timeout ? Kind::timeout : Kind::compile_error);
}

/// Fills `recorded` with plan and artifact, or with the failure. An Error is ours.
Result<void> judge(const Files& files, const Request& request, const BoundCase& bound,
                   const DeviceInfo& target, Compiler& compiler, Recorded& recorded) {
  const auto fail = [&recorded](RecordFailure why) {
    recorded.outcome.failure = std::move(why);
    return Result<void>();
  };
  Result<LaunchPlan> plan = parse_plan(files.plan);
  if (!plan.ok())
    return fail(failure("bad_plan", printable(plan.error().message, kExplanationBytes)));
  const auto assumptions = parse_assumptions(files.kernels);
  if (!assumptions) return fail(failure("bad_plan", "malformed description of kernels"));
  Result<CompileOutcome> assembled =
      compiler.assemble({files.module, request.arch, request.want_cubin});
  if (!assembled.ok() && assembled.error().kind == ErrorKind::invalid)
    return fail(failure("bad_plan", printable(assembled.error().message, kExplanationBytes)));
  if (!assembled.ok()) return assembled.error();
  if (assembled->failure) return fail(of_compiler(*assembled->failure));
  const Artifact& artifact = *assembled->artifact;
  if (const auto problem = validate(*plan, artifact, bound, target))
    return fail(failure(problem->reason, printable(problem->explanation, kExplanationBytes),
                        problem->launch_limits ? Kind::launch_error : Kind::record_error));
  if (auto broken = broken_assumption(*plan, artifact, *assumptions)) return fail(*broken);
  recorded.artifact = assembled->artifact;
  recorded.outcome.plan = *std::move(plan);
  return {};
}

Result<Recorded> record_with(Worker& worker, const Request& request, const BoundCase& bound,
                             const DeviceInfo& target, Compiler& compiler) {
  Recorded recorded;
  const sandbox::Outcome outcome =
      worker.record(request.source, make_request(bound, target, request));
  if (outcome.exit == sandbox::Exit::sandbox_failure)
    return Error{ErrorKind::sandbox, "the recorder could not be run: " + outcome.explanation};
  // The candidate runs in children of the worker, whose ends it writes down.
  if (outcome.exit == sandbox::Exit::exited && outcome.code != 0 &&
      outcome.code != recording::kUnwritableStatus)
    return Error{ErrorKind::internal,
                 fmt::format("the recorder of Triton candidates ended with status {}: {}",
                             outcome.code, printable(outcome.standard_error, kExplanationBytes))};
  auto files = agree(outcome);
  auto tuners = parse_tuners(outcome);
  if (tuners) recorded.tuners = *std::move(tuners);
  if (auto* failed = std::get_if<RecordFailure>(&files))
    recorded.outcome.failure = std::move(*failed);
  else if (!tuners)
    recorded.outcome.failure = failure("bad_plan", "malformed description of configurations");
  else
    RETURN_IF_ERROR(judge(std::get<Files>(files), request, bound, target, compiler, recorded));
  recorded.outcome.output =
      printable(outcome.standard_output + outcome.standard_error, kOutputBytes);
  return recorded;
}

}  // namespace

std::string arch_for(const DeviceInfo& device, const std::string& arch_of_device) {
  return device.id == "virtual" ? "sm_80" : arch_of_device;
}

Result<Recorded> record(const Request& request, const BoundCase& bound, const DeviceInfo& target,
                        Compiler& compiler, Workers& workers) {
  const auto start = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(const std::unique_ptr<Worker> worker, workers.take());
  Result<Recorded> recorded = record_with(*worker, request, bound, target, compiler);
  if (recorded.ok())
    recorded->outcome.record_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  workers.prepare();  // not before: what it starts takes a core
  return recorded;
}

}  // namespace assay::triton
