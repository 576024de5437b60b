// Theory of operation
//
// record() turns a candidate's host code into a launch plan without trusting it:
//
//   assay (this file)                     sandbox: assay-recorder, twice at the same time
//   -----------------                     ----------------------------------------------
//   request: sizes, scalars, kernels,  -> loads our libcudart.so.13, then the candidate's launcher;
//   target device, a secret base          calls solve() with fake device pointers
//   plan with raw addresses, or a      <- writes down what it asks for (runtime/runtime.cc)
//   reason and a sentence
//   unify the two plans (unify.cc)
//   validate against artifact, case
//   and device (plan/validate.cc)
//
// The candidate shares a process with the runtime that records it, so a recording is only the
// candidate's word. It is parsed within bounds, and a plan that does not fit the case is refused
// whatever it says. What a forged plan can gain is nothing: the device runs kernels of the
// candidate's own on buffers that the plan may name, exactly as an honest plan would make it.
//
// The two recordings get different bases for their fake addresses and different clocks. What is
// equal in both is data; what differs by exactly the bases is a pointer; anything else that differs
// makes the plan irreproducible. Addresses on the host are the same in both (no randomised layout),
// so that remains of host pointers in never-written bytes do not count as differences.
//
// How a recording ends: the recorder leaves a plan or a failure with a reason; where it could leave
// neither, the sandbox's account of the end says why (explain_end).
#include "evaluator/record/recorder.h"

#include <fmt/format.h>
#include <sys/personality.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <future>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <variant>

#include "base/install.h"
#include "evaluator/plan/limits.h"
#include "evaluator/record/address_space.h"
#include "evaluator/record/ending.h"
#include "evaluator/record/setup.h"
#include "evaluator/record/unify.h"
#include "sandbox/sandbox.h"

namespace assay {

namespace {

using recording::explain_end;
using recording::failure;
using recording::printable;
using recording::Recording;
using recording::Setup;
using Kind = RecordFailure::Kind;

constexpr std::chrono::milliseconds kWallLimit{10'000};
constexpr size_t kMemoryBytes = size_t{1} << 30;
constexpr size_t kWorkBytes = size_t{128} << 20;  // the launcher, and room for a plan
constexpr size_t kOutputBytes = size_t{64} << 10;
constexpr size_t kExplanationBytes = 2'000;

/// A scalar's bits as solve() takes it, in the low bytes.
uint64_t scalar_bits(const BoundScalar& scalar) {
  uint64_t bits = 0;
  if (is_floating(scalar.dtype))
    from_double(scalar.dtype, scalar.real, &bits);
  else
    std::memcpy(&bits, &scalar.integer, size_bytes(scalar.dtype));
  return bits;
}

Setup make_setup(const Artifact& artifact, const BoundCase& bound, const DeviceInfo& target) {
  Setup setup;
  for (const BoundTensor& tensor : bound.tensors) {
    setup.tensors.push_back(tensor.bytes());
    setup.tensor_names.push_back(tensor.name);
  }
  for (const BoundScalar& scalar : bound.scalars) setup.scalars.push_back(scalar_bits(scalar));
  setup.kernels = artifact.kernels;
  setup.variables = artifact.variables;
  setup.device = target;
  return setup;
}

/// Secrets of the two recordings: bases of different marks at both ends of the range, so that no
/// fake address of one is an address of the other, and clocks some days apart.
std::array<Setup, 2> make_setups(const Artifact& artifact, const BoundCase& bound,
                                 const DeviceInfo& target) {
  std::random_device random;
  const auto below = [&random](uint64_t bound_value) {
    return (uint64_t{random()} << 32 | random()) % bound_value;
  };
  std::array<Setup, 2> setups;
  setups.fill(make_setup(artifact, bound, target));
  for (size_t i = 0; i < setups.size(); ++i) {
    const uint64_t part = recording::kBaseSpan / 8;
    setups[i].base = recording::kFirstAddress + i * 6 * part + below(part);
    setups[i].base = (setups[i].base & ~recording::kBaseMark) | i;
    setups[i].clock_shift_s = static_cast<int64_t>((i + 1) * 86'400 * 30 + below(86'400));
  }
  return setups;
}

struct Programs {
  std::filesystem::path recorder;
  std::filesystem::path runtime;
};

Result<Programs> find_programs() {
  Programs programs;
  ASSIGN_OR_RETURN(programs.recorder, installed_file("bin/assay-recorder"));
  ASSIGN_OR_RETURN(programs.runtime, installed_file("lib/record/libcudart.so.13"));
  return programs;
}

sandbox::Command make_command(const Programs& programs, const std::string& launcher,
                              const Setup& setup) {
  sandbox::Command command;
  command.arguments = {programs.recorder.string()};
  // The loader cannot find out where the program is: the sandbox has no /proc.
  command.environment = {{"LD_LIBRARY_PATH", programs.runtime.parent_path().string()}};
  command.mounts = {{programs.recorder}, {programs.runtime}};
  command.inputs = {{recording::kLauncherFile, launcher, true},
                    {recording::kRequestFile, nlohmann::json(setup).dump(), false}};
  command.outputs = {recording::kPlanFile, recording::kFailureFile};
  return command;
}

sandbox::Limits make_limits() {
  sandbox::Limits limits;
  limits.wall = kWallLimit;
  limits.cpu = kWallLimit;
  limits.memory_bytes = kMemoryBytes;
  limits.work_bytes = kWorkBytes;
  limits.file_bytes = plan_limits::kPlanTextBytes;
  limits.output_bytes = kOutputBytes;
  limits.processes = 1;
  return limits;
}

/// Runs one recorder. The thread that calls this is cloned by the sandbox, so that the fixed
/// address layout that it asks for is the recorder's too.
Result<sandbox::Outcome> run_recorder(const sandbox::Command& command) {
  const int before = personality(0xffffffff);
  if (before >= 0) personality(static_cast<unsigned long>(before) | ADDR_NO_RANDOMIZE);
  Result<sandbox::Outcome> outcome =
      sandbox::run(command, make_limits(), sandbox::Policy::recorder);
  if (before >= 0) personality(static_cast<unsigned long>(before));
  return outcome;
}

/// Symbols of kernels as their author knows them.
std::string with_demangled_names(std::string text, const Artifact& artifact) {
  std::vector<const Kernel*> kernels;
  for (const Kernel& kernel : artifact.kernels)
    if (!kernel.demangled.empty() && kernel.demangled != kernel.name) kernels.push_back(&kernel);
  // Longer ones first: a symbol can begin with another one.
  std::sort(kernels.begin(), kernels.end(),
            [](const Kernel* a, const Kernel* b) { return a->name.size() > b->name.size(); });
  for (const Kernel* kernel : kernels)
    for (size_t at = text.find(kernel->name); at != std::string::npos;
         at = text.find(kernel->name, at + kernel->demangled.size()))
      text.replace(at, kernel->name.size(), kernel->demangled);
  return text;
}

/// The failure that the recorder wrote down: a reason, a line feed, a sentence.
RecordFailure parse_failure(const std::string& text) {
  static const std::set<std::string, std::less<>> kReasons = {
      "host_read_back",   "host_write",       "crash",         "exit",   "exception",
      "library",          "unsupported_call", "scratch_limit", "memory", "plan_limits",
      "invalid_argument", "bad_plan",         "launch_limits"};
  const size_t end = text.find('\n');
  const std::string reason = text.substr(0, end);
  if (end == std::string::npos || !kReasons.contains(reason))
    return failure("bad_plan", "host code of the candidate wrote over its own recording");
  return failure(reason, printable(text.substr(end + 1), kExplanationBytes),
                 reason == "launch_limits" ? Kind::launch_error : Kind::record_error);
}

using Recorded = std::variant<Recording, RecordFailure>;

Recorded read_recording(const sandbox::Outcome& outcome, const Setup& setup) {
  if (const auto found = outcome.outputs.find(recording::kFailureFile);
      found != outcome.outputs.end() && outcome.exit == sandbox::Exit::exited)
    return parse_failure(found->second);
  const auto found = outcome.outputs.find(recording::kPlanFile);
  if (found == outcome.outputs.end() || outcome.exit != sandbox::Exit::exited || outcome.code != 0)
    return explain_end(outcome, make_limits());
  Result<LaunchPlan> plan = parse_plan(found->second);
  if (!plan.ok()) return failure("bad_plan", printable(plan.error().message, kExplanationBytes));
  return Recording{*std::move(plan), setup.base};
}

/// Where one of two recordings failed or both did. Limits of time and memory can be hit by chance;
/// anything else that happens only once depends on what should not matter.
RecordFailure merge_failures(const Recorded& first, const Recorded& second) {
  const auto* one = std::get_if<RecordFailure>(&first);
  const auto* other = std::get_if<RecordFailure>(&second);
  if (one != nullptr && other != nullptr) return one->kind == Kind::timeout ? *other : *one;
  const RecordFailure& only = one != nullptr ? *one : *other;
  if (only.kind == Kind::timeout || only.reason == "memory") return only;
  return failure("not_reproducible",
                 "launches depend on addresses, time or randomness: solve() was recorded twice, "
                 "with different device addresses, and only one recording succeeded; in the other "
                 "one: " +
                     only.explanation);
}

std::variant<LaunchPlan, RecordFailure> judge(const Recorded& first, const Recorded& second,
                                              const Artifact& artifact, const BoundCase& bound,
                                              const DeviceInfo& target) {
  const auto* one = std::get_if<Recording>(&first);
  const auto* other = std::get_if<Recording>(&second);
  if (one == nullptr || other == nullptr) return merge_failures(first, second);
  auto unified = recording::unify(*one, *other);
  if (const auto* difference = std::get_if<recording::Difference>(&unified))
    return failure("not_reproducible", printable(difference->explanation, kExplanationBytes));
  LaunchPlan& plan = std::get<LaunchPlan>(unified);
  if (plan.operations.empty())
    return failure("no_operations",
                   "solve() returned without launching a kernel or asking for a "
                   "memset or copy, so the outputs are never written");
  if (const auto problem = validate(plan, artifact, bound, target))
    return failure(problem->reason, printable(problem->explanation, kExplanationBytes),
                   problem->launch_limits ? Kind::launch_error : Kind::record_error);
  return std::move(plan);
}

}  // namespace

Result<RecordOutcome> record(const Artifact& artifact, const BoundCase& bound,
                             const DeviceInfo& target) {
  const auto start = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(const Programs programs, find_programs());
  const std::array<Setup, 2> setups = make_setups(artifact, bound, target);
  auto second_run = std::async(std::launch::async, [&] {
    return run_recorder(make_command(programs, artifact.launcher, setups[1]));
  });
  const Result<sandbox::Outcome> first =
      run_recorder(make_command(programs, artifact.launcher, setups[0]));
  const Result<sandbox::Outcome> second = second_run.get();
  for (const auto* outcome : {&first, &second}) {
    if (!outcome->ok()) return outcome->error();
    if ((*outcome)->exit == sandbox::Exit::sandbox_failure)
      return Error{ErrorKind::sandbox, "the recorder could not be run: " + (*outcome)->explanation};
  }
  RecordOutcome result;
  auto judgement = judge(read_recording(*first, setups[0]), read_recording(*second, setups[1]),
                         artifact, bound, target);
  if (auto* plan = std::get_if<LaunchPlan>(&judgement)) result.plan = std::move(*plan);
  if (auto* problem = std::get_if<RecordFailure>(&judgement)) {
    problem->explanation = with_demangled_names(std::move(problem->explanation), artifact);
    result.failure = std::move(*problem);
  }
  result.output = printable(first->standard_output + first->standard_error, kOutputBytes);
  result.record_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace assay
