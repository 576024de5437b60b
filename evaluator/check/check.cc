// Theory of operation
//
// One case is decided in the order below; the first thing found decides.
//
//   1  the candidate runs `repeats` times on the same inputs, each time with its module variables
//      reset, its outputs and scratch poisoned anew and, on the virtual device, blocks and warps in
//      another order. A run ends the story if it faults, if a red zone around any buffer is not
//      what it was, or if an input changed.
//   2  elements that still hold the poison of their run, in two runs with different poison, were
//      never written.
//   3  runs whose outputs differ by more than the tolerance make the candidate nondeterministic.
//   4  only now the expected outputs come into being: reference.cu runs on freshly filled inputs
//      and in buffers of its own, which did not exist while the candidate ran.
//   5  every element of every output is compared. A blank output (all zero) is wrong where the
//      expected one is not blank, even if the tolerance would let it pass.
//
// A task whose right outputs are not unique has evidence (tasks/evidence.h), computed from the
// outputs of each run, the reference's too. In steps 3 and 5 it is compared like an output; the
// outputs themselves then only need to be finite, not poison and not blank.
//
// A fault or a failure of a trusted kernel is trouble of ours, never the candidate's.
#include "evaluator/check/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/digest.h"
#include "evaluator/check/buffers.h"
#include "evaluator/check/diagnosis.h"
#include "evaluator/check/explain.h"
#include "evaluator/check/trusted.h"
#include "tasks/evidence.h"

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Outcome outcome_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::launch_failed:
      return Outcome::launch_error;
    case Fault::Kind::timeout:
      return Outcome::timeout;
    case Fault::Kind::shared_race:
      return Outcome::nondeterministic;
    case Fault::Kind::unsupported:
      return Outcome::harness_error;
    default:
      return Outcome::runtime_fault;
  }
}

std::string reason_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::launch_failed:
      return "launch_limits";
    case Fault::Kind::timeout:
      return "kernel_time";
    default:
      return name(kind);
  }
}

/// From so many elements on, an output of zeros is a blank one, not the answer by chance.
constexpr uint64_t kBlankElements = 16;

/// The bytes that one run wrote, by position among the judged tensors; empty for inputs.
using Outputs = std::vector<std::string>;

class Checker {
 public:
  Checker(Device& device, const CheckJob& job)
      : device_(device),
        job_(job),
        judged_(with_evidence(job.bound)),
        poison_keys_(draw_poison_keys(job.seed, job.bound.tensors.size())) {}

  Result<CheckReport> run() {
    const auto start = Clock::now();
    ASSIGN_OR_RETURN(const bool candidate_passed, run_candidate());
    if (candidate_passed) {
      for (Outputs& outputs : outputs_) RETURN_IF_ERROR(add_evidence(outputs));
      if (job_.want_outputs) keep_outputs();
      const bool consistent = compare_runs();
      if (consistent || job_.want_expected) RETURN_IF_ERROR(compare_with_reference(consistent));
    }
    report_.check_ms = milliseconds_since(start);
    return std::move(report_);
  }

 private:
  bool conclude(Outcome outcome, std::string reason, std::string explanation) {
    report_.outcome = outcome;
    report_.reason = std::move(reason);
    report_.explanation = std::move(explanation);
    return false;
  }

  const std::vector<BoundTensor>& tensors() const { return job_.bound.tensors; }
  static bool is_output(const BoundTensor& tensor) { return tensor.direction != Direction::in; }

  /// Poison of output `i` in run `run`: keys of consecutive runs differ in the lowest bit. A kernel
  /// can read poison and compute its key from it, but not the seed from the key.
  uint64_t poison_key(size_t i, int run) const {
    return (poison_keys_[i] & ~uint64_t{1}) | static_cast<uint64_t>(run & 1);
  }

  static std::vector<uint64_t> draw_poison_keys(uint64_t seed, size_t count) {
    std::vector<uint64_t> keys;
    for (size_t i = 0; i < count; ++i) {
      const std::string digest = sha256(fmt::format("poison {} of {}", i, seed));
      keys.push_back(std::stoull(digest.substr(0, 16), nullptr, 16));
    }
    return keys;
  }

  /// Step 1. False when the story ended.
  Result<bool> run_candidate() {
    Buffers buffers(device_);
    RETURN_IF_ERROR(buffers.allocate(tensors()));
    Result<std::unique_ptr<Module>> module = device_.load(*job_.candidate);
    if (!module.ok()) {
      if (module.error().kind != ErrorKind::unsupported) return module.error();
      return conclude(Outcome::harness_error, "unsupported", module.error().message);
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<PreparedPlan> plan,
                     device_.prepare(**module, job_.candidate_plan, buffers.all()));
    const int runs = std::max(1, job_.repeats);
    for (int run = 0; run < runs; ++run) {
      if (run > 0) RETURN_IF_ERROR(device_.reset(**module));
      ASSIGN_OR_RETURN(const bool passed, run_once(buffers, *plan, run));
      if (!passed) return false;
      if (run > 1 && outputs_.back() == outputs_.front()) outputs_.pop_back();
    }
    return true;
  }

  Result<bool> run_once(const Buffers& buffers, PreparedPlan& plan, int run) {
    std::vector<uint64_t> hashes;
    for (size_t i = 0; i < tensors().size(); ++i) {
      const BoundTensor& tensor = tensors()[i];
      if (tensor.direction == Direction::out)
        RETURN_IF_ERROR(device_.poison(buffers[i], tensor.dtype, poison_key(i, run)));
      else
        RETURN_IF_ERROR(device_.fill(buffers[i], tensor.fill, FillKey{job_.seed, 0}));
      ASSIGN_OR_RETURN(const uint64_t hash, device_.hash(buffers[i]));
      hashes.push_back(hash);
    }

    RunOptions options = job_.run;
    options.schedule_seed = static_cast<uint32_t>(run);
    ASSIGN_OR_RETURN(RunReport ran, device_.run(plan, options));
    note(ran, run);
    if (ran.fault) {
      report_.source_line = ran.fault->source_line;
      const char* when = run > 0 ? "in a repeated run on the same input: " : "";
      return conclude(outcome_of(ran.fault->kind), reason_of(ran.fault->kind),
                      when + ran.fault->explanation);
    }
    ASSIGN_OR_RETURN(const bool intact, check_memory(buffers, plan, hashes));
    if (!intact) return false;

    Outputs& outputs = outputs_.emplace_back(tensors().size());
    for (size_t i = 0; i < tensors().size(); ++i) {
      if (!is_output(tensors()[i])) continue;
      ASSIGN_OR_RETURN(outputs[i], buffers.download(i));
    }
    return true;
  }

  /// Keeps what a run tells: all of the first, and new notes of the others, whose blocks ran in
  /// another order.
  void note(RunReport& ran, int run) {
    for (std::string& note : ran.notes)
      if (std::ranges::count(report_.notes, note) == 0) report_.notes.push_back(std::move(note));
    if (run > 0) return;
    report_.launches = std::move(ran.launches);
    report_.printed = std::move(ran.printed);
    report_.candidate_ms = ran.elapsed_ms;
  }

  Result<bool> check_memory(const Buffers& buffers, PreparedPlan& plan,
                            const std::vector<uint64_t>& hashes) {
    for (const Buffer& buffer : buffers.all()) {
      ASSIGN_OR_RETURN(const RedZoneDamage damage, device_.check_red_zones(buffer));
      if (damage.any()) return conclude(Outcome::tampered, "red_zone", explain_red_zone(damage));
    }
    ASSIGN_OR_RETURN(const RedZoneDamage damage, device_.check_scratch_red_zones(plan));
    if (damage.any()) return conclude(Outcome::tampered, "red_zone", explain_red_zone(damage));
    for (size_t i = 0; i < tensors().size(); ++i) {
      if (tensors()[i].direction != Direction::in) continue;
      ASSIGN_OR_RETURN(const uint64_t hash, device_.hash(buffers[i]));
      if (hash != hashes[i])
        return conclude(Outcome::tampered, "input_changed",
                        fmt::format("the kernel changed its input {}; inputs are read-only",
                                    tensors()[i].name));
    }
    return true;
  }

  /// Appends the evidence of a run with these outputs.
  Result<void> add_evidence(Outputs& outputs) {
    if (job_.bound.evidence.empty()) return {};
    Buffers inputs(device_);
    RETURN_IF_ERROR(inputs.allocate(tensors()));
    std::vector<std::string> bytes = outputs;
    for (size_t i = 0; i < tensors().size(); ++i) {
      if (is_output(tensors()[i])) continue;
      RETURN_IF_ERROR(device_.fill(inputs[i], tensors()[i].fill, FillKey{job_.seed, 0}));
      ASSIGN_OR_RETURN(bytes[i], inputs.download(i));
    }
    ASSIGN_OR_RETURN(std::vector<std::string> evidence,
                     evidence_of(device_, job_.bound, job_.evidence, bytes, job_.run));
    for (std::string& tensor : evidence) outputs.push_back(std::move(tensor));
    return {};
  }

  void keep_outputs() {
    for (size_t i = 0; i < judged_.size(); ++i)
      if (is_output(judged_[i])) report_.outputs[judged_[i].name] = outputs_.front()[i];
  }

  /// Steps 2 and 3. False when the story ended.
  bool compare_runs() {
    for (size_t i = 0; i < tensors().size(); ++i) {
      if (tensors()[i].direction != Direction::out || outputs_.size() < 2) continue;
      const Unwritten unwritten = unwritten_in(i);
      if (unwritten.elements > 0)
        return conclude(Outcome::wrong_output, "unwritten",
                        explain_unwritten(tensors()[i], unwritten));
    }
    for (size_t run = 1; run < outputs_.size(); ++run)
      if (!agrees_with_first(outputs_[run])) return false;
    return true;
  }

  /// False when the story ended: these outputs differ from the first run's by more than the
  /// tolerance.
  bool agrees_with_first(const Outputs& outputs) {
    for (size_t i = 0; i < judged_.size(); ++i) {
      const BoundTensor& tensor = judged_[i];
      const std::string& first = outputs_.front()[i];
      if (!is_output(tensor) || first == outputs[i]) continue;
      const Comparison comparison = trusted::compare_on_host(
          outputs[i].data(), first.data(), tensor.dtype, tensor.elements, tensor.tolerance);
      if (!comparison.passed())
        return conclude(Outcome::nondeterministic, "repeat_differs",
                        explain_difference(tensor, comparison, kind(i)));
    }
    return true;
  }

  /// Elements of output `i` that hold the poison of their run in the first two runs. The patterns
  /// of the two differ everywhere, so a value that was written, the same both times, is never one.
  Unwritten unwritten_in(size_t i) const {
    const BoundTensor& tensor = tensors()[i];
    Unwritten unwritten;
    const auto poisoned = [&](uint64_t element, int run) {
      return trusted::load_bits(tensor.dtype, outputs_[static_cast<size_t>(run)][i].data(),
                                element) ==
             trusted::poison_bits(tensor.dtype, element, poison_key(i, run));
    };
    for (uint64_t element = 0; element < tensor.elements; ++element) {
      if (!poisoned(element, 0) || !poisoned(element, 1)) continue;
      if (unwritten.elements++ == 0) unwritten.first = element;
    }
    return unwritten;
  }

  /// Steps 4 and 5.
  Result<void> compare_with_reference(bool judge) {
    Buffers expected(device_);
    RETURN_IF_ERROR(expected.allocate(tensors()));
    ASSIGN_OR_RETURN(const std::unique_ptr<Module> module, device_.load(*job_.reference));
    ASSIGN_OR_RETURN(const std::unique_ptr<PreparedPlan> plan,
                     device_.prepare(*module, job_.reference_plan, expected.all()));
    for (size_t i = 0; i < tensors().size(); ++i) {
      const BoundTensor& tensor = tensors()[i];
      if (tensor.direction == Direction::out) {
        RETURN_IF_ERROR(device_.poison(expected[i], tensor.dtype, poison_key(i, 0)));
        continue;
      }
      RETURN_IF_ERROR(device_.fill(expected[i], tensor.fill, FillKey{job_.seed, 0}));
      if (job_.want_expected) {
        ASSIGN_OR_RETURN(report_.inputs[tensor.name], expected.download(i));
      }
    }
    RunOptions options = job_.run;
    options.schedule_seed = 0;
    ASSIGN_OR_RETURN(const RunReport ran, device_.run(*plan, options));
    if (ran.fault)
      return Error{ErrorKind::internal,
                   fmt::format("reference.cu of task {}, case {}: {}", job_.bound.task_id,
                               job_.bound.case_name, ran.fault->explanation)};
    RETURN_IF_ERROR(add_expected_evidence(expected));
    Buffers got(device_);
    RETURN_IF_ERROR(got.allocate(judged_));
    for (size_t i = 0; i < judged_.size(); ++i) {
      const BoundTensor& tensor = judged_[i];
      if (!is_output(tensor)) continue;
      if (job_.want_expected) {
        ASSIGN_OR_RETURN(report_.expected[tensor.name], expected.download(i));
      }
      RETURN_IF_ERROR(got.upload(i, outputs_[0][i]));
      ASSIGN_OR_RETURN(
          const Comparison comparison,
          device_.compare(got[i], expected[i], tensor.dtype, tensor.elements, tensor.tolerance));
      report_.comparisons.push_back({tensor.name, comparison});
      if (!judge || report_.outcome == Outcome::wrong_output) continue;
      RETURN_IF_ERROR(judge_output(i, comparison, expected));
    }
    if (judge && report_.outcome != Outcome::wrong_output) conclude(Outcome::correct, "", "");
    return {};
  }

  /// Behind the expected outputs, in buffers that did not exist while anything of theirs was
  /// computed.
  Result<void> add_expected_evidence(Buffers& expected) {
    Outputs outputs(tensors().size());
    for (size_t i = 0; i < tensors().size(); ++i) {
      if (!is_output(tensors()[i]) || job_.bound.evidence.empty()) continue;
      ASSIGN_OR_RETURN(outputs[i], expected.download(i));
    }
    RETURN_IF_ERROR(add_evidence(outputs));
    RETURN_IF_ERROR(expected.allocate(job_.bound.evidence));
    for (size_t i = tensors().size(); i < outputs.size(); ++i)
      RETURN_IF_ERROR(expected.upload(i, outputs[i]));
    return {};
  }

  /// Concludes wrong_output where output `i` is wrong.
  Result<void> judge_output(size_t i, const Comparison& comparison, const Buffers& expected) {
    const BoundTensor& tensor = judged_[i];
    const std::string& got = outputs_[0][i];
    const bool blank =
        i < tensors().size() && tensor.elements >= kBlankElements && all_zero(tensor, got);
    if (comparison.passed() && !blank) return {};
    ASSIGN_OR_RETURN(const std::string want, expected.download(i));
    const bool unique = job_.bound.evidence.empty();
    if (!comparison.passed())
      conclude(Outcome::wrong_output, "mismatch",
               explain_mismatch(tensor, comparison,
                                unique ? diagnose(tensor, got, want, comparison) : "", kind(i)));
    else if (!all_zero(tensor, want))
      conclude(Outcome::wrong_output, "mismatch",
               fmt::format("output {} is all zero, which is within the tolerance, but not what the "
                           "task asks for",
                           tensor.name));
    return {};
  }

  /// What judged tensor `i` is called in explanations.
  const char* kind(size_t i) const { return i < tensors().size() ? "output" : "evidence"; }

  Device& device_;
  const CheckJob& job_;
  CheckReport report_;
  const std::vector<BoundTensor> judged_;    // tensors(), then the evidence
  const std::vector<uint64_t> poison_keys_;  // by tensor
  std::vector<Outputs> outputs_;  // of the first two runs, and of those that differ from the first
};

}  // namespace

Result<CheckReport> check(Device& device, const CheckJob& job) {
  return Checker(device, job).run();
}

}  // namespace assay
