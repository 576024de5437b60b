// Theory of operation
//
// A task is only as good as its inputs and its oracle. Each rule runs the reference kernel on a
// case and looks at the bytes: once as it is, once with another seed, and once for every input with
// that input alone drawn anew (its fill gets another ordinal, so its random numbers change while
// all others stay). A rule that no test case can show to hold is broken. Agreement goes the whole
// way of a candidate, so that a task whose own kernels would be judged wrong is caught here.
#include "evaluator/task_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "tasks/evidence.h"

namespace assay {

namespace {

constexpr uint64_t kSeed = 0x9E3779B97F4A7C15;
constexpr uint64_t kOtherSeed = 0xD1B54A32D192ED03;
constexpr uint32_t kOtherOrdinal = 1u << 15;

/// What the tolerance tells apart from 0; outputs that are judged by evidence have no such bound.
double smallest_difference(const BoundTensor& tensor) {
  return std::isfinite(tensor.tolerance.atol) ? tensor.tolerance.atol : 0;
}

/// Of one output tensor.
struct Spread {
  uint64_t nonfinite = 0;
  double mean = 0;
  double deviation = 0;
  bool all_equal = true;
};

Spread spread_of(const BoundTensor& tensor, const std::string& bytes) {
  Spread spread;
  const size_t step = size_bytes(tensor.dtype);
  double sum = 0, squares = 0;
  uint64_t finite = 0;
  for (uint64_t i = 0; i < tensor.elements; ++i) {
    if (std::memcmp(bytes.data(), bytes.data() + i * step, step) != 0) spread.all_equal = false;
    const double value = to_double(tensor.dtype, bytes.data() + i * step);
    if (!std::isfinite(value)) {
      ++spread.nonfinite;
      continue;
    }
    ++finite;
    sum += value;
    squares += value * value;
  }
  if (finite > 0) {
    const auto count = static_cast<double>(finite);
    spread.mean = sum / count;
    spread.deviation = std::sqrt(std::max(0.0, squares / count - spread.mean * spread.mean));
  }
  return spread;
}

class TaskChecker {
 public:
  TaskChecker(Evaluator& evaluator, const Task& task, const StageListener& listener)
      : evaluator_(evaluator), task_(task), listener_(listener) {
    check_.task_id = task.id;
  }

  Result<TaskCheck> run() {
    for (const CaseSpec& spec : task_.cases)
      if (spec.role == Role::test && (evaluator_.device().id != "virtual" || spec.on_virtual))
        RETURN_IF_ERROR(look_at(spec));
    conclude();
    for (const char* kernel : {"naive", "expert"}) RETURN_IF_ERROR(agree(kernel));
    return std::move(check_);
  }

 private:
  void found(bool ok, const std::string& rule, const std::string& detail) {
    check_.findings.push_back({ok, rule, detail});
  }

  /// Runs the reference as it is, with another seed, and with each input drawn anew.
  Result<void> look_at(const CaseSpec& spec) {
    if (listener_) listener_(Stage::check, spec.name);
    ASSIGN_OR_RETURN(const BoundCase bound, bind(task_, spec));
    ASSIGN_OR_RETURN(const CheckReport base, evaluator_.run_reference(task_, bound, kSeed));
    ++cases_;
    look_at_outputs(spec, bound, base);

    ASSIGN_OR_RETURN(const CheckReport other, evaluator_.run_reference(task_, bound, kOtherSeed));
    seed_matters_ = seed_matters_ || other.expected != base.expected;

    for (size_t i = 0; i < bound.tensors.size(); ++i) {
      const BoundTensor& tensor = bound.tensors[i];
      if (tensor.direction == Direction::out || sensitive_.contains(tensor.name)) continue;
      BoundCase changed = bound;
      changed.tensors[i].fill.ordinal += kOtherOrdinal;
      ASSIGN_OR_RETURN(const CheckReport report, evaluator_.run_reference(task_, changed, kSeed));
      if (report.expected != base.expected) sensitive_.insert(tensor.name);
      if (report.inputs.at(tensor.name) != base.inputs.at(tensor.name)) varied_.insert(tensor.name);
    }
    return {};
  }

  void look_at_outputs(const CaseSpec& spec, const BoundCase& bound, const CheckReport& report) {
    for (const BoundTensor& tensor : with_evidence(bound)) {
      if (tensor.direction == Direction::in || tensor.elements == 0) continue;
      const Spread spread = spread_of(tensor, report.expected.at(tensor.name));
      if (spread.nonfinite > 0)
        found(false, "finite",
              fmt::format("case {}: {} of {} elements of {} are not finite; bound the inputs or "
                          "choose a wider dtype",
                          spec.name, spread.nonfinite, tensor.elements, tensor.name));
      const bool narrow =
          is_floating(tensor.dtype) && tensor.elements >= 16 &&
          spread.deviation < 1e-3 * std::max(std::abs(spread.mean), smallest_difference(tensor));
      if (tensor.elements >= 2 && !spread.all_equal && !narrow) varied_outputs_.insert(tensor.name);
    }
  }

  void conclude() {
    if (cases_ == 0) {
      found(false, "agreement",
            fmt::format("no test case runs on device {}", evaluator_.device().id));
      return;
    }
    found(seed_matters_, "seed",
          seed_matters_ ? "another seed gives other outputs"
                        : "another seed gives the same outputs; make an input random");
    for (const TensorSpec& tensor : task_.tensors) {
      if (tensor.direction != Direction::out) {
        const bool ok = sensitive_.contains(tensor.name);
        found(ok, "sensitivity",
              ok ? fmt::format("outputs depend on {}", tensor.name)
              : varied_.contains(tensor.name)
                  ? fmt::format("no output changes when {} alone is drawn anew", tensor.name)
                  : fmt::format("{} is the same for every seed in all cases; give it a random fill "
                                "in at least one",
                                tensor.name));
      }
      if (tensor.direction != Direction::in) {
        const bool ok = varied_outputs_.contains(tensor.name);
        found(ok, "spread",
              ok ? fmt::format("{} varies", tensor.name)
                 : fmt::format("{} is constant, or nearly so, in every case: a kernel that writes "
                               "one value would pass",
                               tensor.name));
      }
    }
  }

  Result<void> agree(const std::string& kernel) {
    ASSIGN_OR_RETURN(const Candidate candidate, Evaluator::reference_kernel(task_, kernel));
    const Evaluation evaluation = evaluator_.evaluate(task_, candidate, {}, listener_);
    if (evaluation.outcome == Outcome::harness_error)
      return Error{ErrorKind::internal,
                   fmt::format("{}.cu of task {}: {}", kernel, task_.id, evaluation.explanation)};
    double margin = 0;
    for (const CaseResult& result : evaluation.cases)
      for (const TensorComparison& tensor : result.report.comparisons)
        margin = std::max(margin, tensor.comparison.max_bound_ratio);
    check_.margin = std::max(check_.margin, margin);
    const bool ok = evaluation.outcome == Outcome::correct;
    found(ok, "agreement",
          ok ? fmt::format("{}.cu agrees with reference.cu; largest error {:.2g} of the bound",
                           kernel, margin)
             : fmt::format("{}.cu is {}: {}", kernel, name(evaluation.outcome),
                           evaluation.explanation));
    return {};
  }

  Evaluator& evaluator_;
  const Task& task_;
  const StageListener& listener_;
  TaskCheck check_;
  int cases_ = 0;
  bool seed_matters_ = false;
  std::set<std::string> sensitive_;       // inputs that change an output
  std::set<std::string> varied_;          // inputs that another ordinal changes
  std::set<std::string> varied_outputs_;  // outputs with a spread
};

}  // namespace

bool TaskCheck::passed() const { return std::ranges::all_of(findings, &TaskFinding::ok); }

Result<TaskCheck> check_task(Evaluator& evaluator, const Task& task,
                             const StageListener& listener) {
  return TaskChecker(evaluator, task, listener).run();
}

Result<MutantCheck> check_mutants(Evaluator& evaluator, const Task& task, size_t most,
                                  const StageListener& listener) {
  constexpr uint64_t kInstructions = 20'000'000'000;  // a mutant may loop forever
  constexpr double kSeconds = 60;
  ASSIGN_OR_RETURN(const Candidate reference, Evaluator::reference_kernel(task, "reference"));
  EvaluateOptions options;
  options.run.instruction_budget = kInstructions;
  options.run.deadline_seconds = kSeconds;
  MutantCheck check;
  for (KernelMutant& mutant : mutate_kernel(reference.source, most)) {
    Candidate candidate = reference;
    candidate.source = mutant.source;
    const Evaluation evaluation = evaluator.evaluate(task, candidate, options, listener);
    if (evaluation.outcome == Outcome::harness_error)
      return Error{ErrorKind::internal,
                   fmt::format("a mutant of reference.cu of task {} ({}, line {}): {}", task.id,
                               mutant.fault, mutant.line, evaluation.explanation)};
    if (evaluation.outcome == Outcome::compile_error)
      ++check.stillborn;
    else if (evaluation.outcome == Outcome::correct)
      check.survivors.push_back(std::move(mutant));
    else
      ++check.killed;
  }
  return check;
}

}  // namespace assay
